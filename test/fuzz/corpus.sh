#!/bin/bash
# corpus.sh [SEED] - the short form of replies_fuzz and functions_fuzz: their
# seeds, and some mixtures of them (run.sh is the long one).
#
# Builds the targets without libFuzzer, and has them load $NADB_LIB. Prints its
# seed, and "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
preload=${LD_PRELOAD:-}
unset LD_PRELOAD

seed=${1:-$RANDOM}
rounds=$([ -n "${NADB_SOAK:-}" ] && echo 20000 || echo 60)
build=${NADB_BUILD:-build}
passed=0
failed=0
echo "seed $seed"
mkdir -p "$build/corpus"
for target in replies functions; do
    [ -e "test/fuzz/corpus/$target" ] || continue
    program=$build/corpus/$target
    # shellcheck disable=SC2086 # CC may be several words
    if ! ${CC:-cc} -std=c11 -D_GNU_SOURCE -DNADB_FUZZ_LOAD -g -O1 -o "$program" \
        "test/fuzz/${target}_fuzz.c" test/fuzz/corpus_main.c -lsqlite3 -lm \
        -pthread; then
        failed=$((failed + 1))
        continue
    fi
    LD_PRELOAD=$preload timeout 600 "$program" "$seed" "$rounds" \
        "$PWD/test/fuzz/corpus/$target"/* >"$program.log" 2>&1
    code=$?
    if [ "$code" = 0 ]; then
        passed=$((passed + $(wc -l <"$program.log")))
    else
        failed=$((failed + 1))
        echo "$target ended with $code:"
        tail -n 40 "$program.log"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
