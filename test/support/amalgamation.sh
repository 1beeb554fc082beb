#!/bin/bash
# amalgamation.sh - nadb.c and nadb.h, as people use them who have nothing else.
#
# Compiled with sqlite3.c into programs of C and C++, and from a folder with
# nothing but the two files in it into an extension, by gcc and clang and
# without a warning. Where SQLite's sources cannot be had, the programs are
# linked with the system's. Prints "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
. test/support/tally.sh

unset MAKEFLAGS MAKELEVEL MFLAGS
bash test/support/need.sh g++ clang || echo "cannot install compilers"
folder=build/amalgamation-test
new=build/sqlite-new
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
rm -rf "$folder"
mkdir -p "$folder" "$place/files" "$place/c" "$place/cc"
# count NAME PROGRAM..: of one that prints "ok NAME" itself.
count() {
    local name=$1 code
    shift
    timeout 60 "$@" >"$folder/$name.out" 2>&1
    code=$?
    cat "$folder/$name.out"
    of_lines "$name" "$code" "$folder/$name.out"
}

file=$(${MAKE:-make} -s amalgamation 2>"$folder/make.log" | tail -n 1)
[ "${file##*/}" = nadb.c ] && [ -s "$file" ]
tell "make amalgamation prints nadb.c, last" $? "$folder/make.log"
cp "${file%.c}".[ch] "$place/files"
strict=(-O0 -Wall -Wextra -Werror)
gcc=(${CC:-gcc})

# In a program: sqlite3.c, nadb.c and the program itself.
if why=$(bash test/support/sqlite_source.sh "$new"); then
    sqlite=("$new/sqlite3.o")
    headers=(-I"$new/package/deps/sqlite3")
else
    echo "not run: nadb.c with sqlite3.c: $why"
    sqlite=(-lsqlite3)
    read -ra headers <<<"$(pkg-config --cflags sqlite3 2>/dev/null)"
fi
"${gcc[@]}" "${strict[@]}" "${headers[@]}" -DNADB_STATIC -c \
    -o "$folder/static.o" "$place/files/nadb.c" >"$folder/static.log" 2>&1
tell "gcc -DNADB_STATIC" $? "$folder/static.log"
exported=$(nm -g --defined-only "$folder/static.o" | awk 'NF == 3 {print $3}')
[ "$exported" = sqlite3_nadb_init ]
tell "it defines sqlite3_nadb_init and nothing else: $exported" $?
libraries=(-lz -lm -ldl -pthread)
"${gcc[@]}" -Wall -DSQLITE_CORE "${headers[@]}" -o "$folder/c" \
    test/bindings/host_test.c "$folder/static.o" "${sqlite[@]}" \
    "${libraries[@]}" >"$folder/c.log" 2>&1
tell "a program of C" $? "$folder/c.log"
g++ -Wall -Wextra -Werror -I"$place/files" "${headers[@]}" -o "$folder/cc" \
    test/bindings/amalgamation_test.cc "$folder/static.o" "${sqlite[@]}" \
    "${libraries[@]}" >"$folder/cc.log" 2>&1
tell "a program of C++" $? "$folder/cc.log"
count c-runs "$folder/c" "$place/c"
count cc-runs "$folder/cc" "$place/cc"

# An extension, with Redis where hiredis is.
redis=()
echo '#include <hiredis/hiredis.h>' | gcc -E - >/dev/null 2>&1 &&
    redis=(-DNADB_REDIS=1 -lhiredis)
(cd "$place/files" && gcc "${strict[@]}" -shared -fPIC nadb.c -o nadb.so -lz \
    "${redis[@]}") >"$folder/so.log" 2>&1
tell "gcc -shared -fPIC nadb.c -o nadb.so -lz ${redis[*]}" $? "$folder/so.log"
(cd "$place/files" && sqlite3 x.db '.load ./nadb' \
    'CREATE VIRTUAL TABLE kv USING nadb' "INSERT INTO kv(key, value)
     VALUES('a', 1)" && [ "$(sqlite3 x.db '.load ./nadb' \
        "SELECT value FROM kv WHERE key = 'a'")" = 1 ] &&
    [ "$(sqlite3 :memory: '.load ./nadb' "SELECT count(*) FROM nadb_backends
        WHERE name = 'redis'")" = $((${#redis[@]} > 0)) ]) \
    >"$folder/load.log" 2>&1
tell ".load ./nadb" $? "$folder/load.log"
(cd "$place/files" &&
    clang -fsyntax-only "${strict[@]}" "${redis[@]:0:1}" nadb.c) \
    >"$folder/clang.log" 2>&1
tell "no warning from clang" $? "$folder/clang.log"
tally
