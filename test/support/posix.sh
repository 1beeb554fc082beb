#!/bin/bash
# posix.sh - some suites with core/util/os_plain.c in the place of os_linux.c, as
# a short form of `make posix`: conflicts between processes, and
# processes that are killed. Prints "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1

unset MAKEFLAGS MAKELEVEL MFLAGS
log=build/plain
mkdir -p "$log"
${MAKE:-make} -s build/plain/nadb.so >"$log/make.log" 2>&1 || {
    echo "the library does not build:"
    head -n 15 "$log/make.log"
    echo "0 passed, 1 failed"
    exit 1
}
passed=0
failed=0
for suite in procs; do
    NADB_POSIX=1 NADB_LIB=$PWD/build/plain/nadb.so tclsh "test/suites/$suite.test" \
        >"$log/$suite.log" 2>&1
    code=$?
    read -r p _ f _ <<<"$(tail -n 1 "$log/$suite.log")"
    [[ "$p $f" =~ ^[0-9]+\ [0-9]+$ ]] || p=0 f=1
    [ $code = 0 ] || [ "$f" -gt 0 ] || f=1
    echo "$suite: $p passed, $f failed"
    [ "$f" = 0 ] || tail -n 40 "$log/$suite.log"
    passed=$((passed + p))
    failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
