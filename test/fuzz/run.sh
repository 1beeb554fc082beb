#!/bin/bash
# run.sh [SECONDS [TARGET ..]] - fuzzes each target that long (default 60).
#
# Needs clang with libFuzzer, libsqlite3-dev and libhiredis-dev. Inputs that are found go into
# build/fuzz, the seeds in corpus/ stay as they are. Ends with "N passed, N
# failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
cc=${CC:-clang}
seconds=${1:-60}
shift
targets=${*:-$(cd test/fuzz && ls ./*_fuzz.c | sed 's|./||; s|_fuzz.c||')}
make -s build/lua/scripts.c || exit 1
sources=$(ls core/*.c core/*/*.c backends/*.c backends/*/*.c ext/*.c \
    build/lua/scripts.c)
flags="-std=c11 -D_GNU_SOURCE -DSQLITE_CORE -DNADB_REDIS=1 -DNADB_REDIS_TLS=0
    -g -O1 $(cat test/support/sanitize.txt)"
mkdir -p build/fuzz/obj
stamp=build/fuzz/obj/stamp # objects are as old as the headers, or newer
if [ ! -e $stamp ] || [ -n "$(find core backends ext -name '*.h' -newer $stamp)" ]
then
    rm -f build/fuzz/obj/*.o
    touch $stamp
fi
for source in $sources; do
    object=build/fuzz/obj/$(echo "$source" | tr / _).o
    [ "$object" -nt "$source" ] && continue
    # shellcheck disable=SC2086
    $cc $flags -fsanitize=fuzzer-no-link -c "$source" -o "$object" || exit 1
done
passed=0
failed=0
for target in $targets; do
    found=$PWD/build/fuzz/$target
    mkdir -p "$found"
    # shellcheck disable=SC2086
    clang $flags -fsanitize=fuzzer "test/fuzz/${target}_fuzz.c" \
        build/fuzz/obj/*.o -o "build/fuzz/${target}_fuzz" -lsqlite3 -lz -lm \
        -lhiredis -ldl -pthread \
        || exit 1
    if "build/fuzz/${target}_fuzz" -max_total_time="$seconds" -max_len=4096 \
        -timeout=60 -artifact_prefix="$found-" "$found" "$PWD/test/fuzz/corpus/$target" \
        > "$found.log" 2>&1; then
        passed=$((passed + 1))
        echo "$target: $(grep -o 'Done.*' "$found.log")"
    else
        failed=$((failed + 1))
        echo "$target failed:"
        tail -n 30 "$found.log"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
