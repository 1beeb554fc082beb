#!/bin/bash
# run.sh LIBRARY [NAME ..] - runs other people's tests (README.md), each
# folder here that has a run.sh, or those of these names. A suite ends with
# "N passed, N failed", or with "not run: why" and exit code 77. The
# last line here is the sum.
set -u
cd "$(dirname "$0")/../.." || exit 1
lib=$(realpath "${1:-build/nadb.so}")
names=${*:2}
[ -n "$names" ] || names=$(cd test/peers && ls -d -- */run.sh | xargs dirname)
logs=$PWD/build/peers/log
mkdir -p "$logs"

passed=0
failed=0
for name in $names; do
    log=$logs/$name.log
    NADB_LIB=$lib timeout "${NADB_SUITE_SECONDS:-1800}" \
        bash "test/peers/$name/run.sh" "$lib" >"$log" 2>&1 </dev/null
    code=$?
    if [ "$code" -eq 77 ]; then
        printf '%-16s ' "$name"
        grep '^not run: ' "$log"
        continue
    fi
    if [[ $(tail -n 1 "$log") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        p=${BASH_REMATCH[1]}
        f=${BASH_REMATCH[2]}
        [ "$code" -eq 0 ] || [ "$f" -gt 0 ] || f=1
    else
        p=0
        f=1
    fi
    printf '%-16s %5d passed, %d failed\n' "$name" "$p" "$f"
    grep '^excluded: ' "$log" | sed 's/^/    /'
    [ "$f" -eq 0 ] || tail -n 40 "$log" | sed 's/^/    /'
    passed=$((passed + p))
    failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
