#!/bin/bash
# posix.sh - some suites with core/util/os_plain.c in the place of os_linux.c, as
# a short form of `make posix`: conflicts between processes, and
# processes that are killed. Prints "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
. test/support/tally.sh

unset MAKEFLAGS MAKELEVEL MFLAGS
log=build/plain
mkdir -p "$log"
${MAKE:-make} -s build/plain/nadb.so >"$log/make.log" 2>&1 || {
    head -n 15 "$log/make.log"
    failure "the library does not build"
}
for suite in procs; do
    NADB_POSIX=1 NADB_LIB=$PWD/build/plain/nadb.so tclsh "test/suites/$suite.test" \
        >"$log/$suite.log" 2>&1
    of_last_line $? "$log/$suite.log"
    echo "$suite: $(tail -n 1 "$log/$suite.log")"
    [ "$failed" = 0 ] || tail -n 40 "$log/$suite.log"
done
tally
