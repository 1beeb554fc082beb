#!/bin/bash
# static.sh [FOLDER] - nadb linked into a program (-DSQLITE_CORE).
#
# Builds FOLDER/libnadb.a (default build/static-test) and a program of it and
# SQLite, and runs that. SQLite is FOLDER/sqlite3.o where there is one, and the
# system's library elsewhere. Prints "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
. test/support/tally.sh

folder=${1:-build/static-test}
cc=${CC:-cc}
mkdir -p "$folder"
unset MAKEFLAGS MAKELEVEL MFLAGS

# Both must be of the same headers.
read -ra headers <<<"$(pkg-config --cflags sqlite3 2>/dev/null)"
sqlite=("$folder/sqlite3.o")
[ -e "${sqlite[0]}" ] || sqlite=(-lsqlite3)
libraries=(-lz)
${MAKE:-make} -s -j2 BUILD="$folder" CFLAGS="-O0 -Werror" "$folder/libnadb.a" \
    >"$folder/make.log" 2>&1 ||
    failure "libnadb.a does not build, see $folder/make.log"
grep -q -e -DNADB_REDIS=1 "$folder/config" && libraries+=(-lhiredis)
# shellcheck disable=SC2086 # CC may be several words
$cc -Wall -Wextra -Werror -DSQLITE_CORE "${headers[@]}" -o "$folder/host_test" \
    test/bindings/host_test.c "$folder/libnadb.a" "${sqlite[@]}" \
    "${libraries[@]}" -lm -ldl -pthread >"$folder/link.log" 2>&1 ||
    failure "it does not link, see $folder/link.log"
exported=$(nm -g --defined-only "$folder/libnadb.a" | awk 'NF == 3 {print $3}')
[ "$exported" = sqlite3_nadb_init ] ||
    failure "libnadb.a has other symbols than sqlite3_nadb_init: $exported"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
timeout 60 "$folder/host_test" "$place" | tee "$folder/host.log"
of_lines static "${PIPESTATUS[0]}" "$folder/host.log"
# The scenario of all bindings, where it is the system's SQLite.
if [ ! -e "$folder/sqlite3.o" ]; then
    NADB_ARCHIVE=$PWD/$folder/libnadb.a bash test/bindings/run.sh \
        "${NADB_LIB:-build/nadb.so}" c_static | tee "$folder/scenario.log"
    of_last_line 0 "$folder/scenario.log"
fi
tally
