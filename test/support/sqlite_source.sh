#!/bin/bash
# sqlite_source.sh FOLDER - a current SQLite: its sources, which the npm package
# better-sqlite3 brings, are in FOLDER/package/deps/sqlite3 after it, and
# compiled as FOLDER/sqlite3.o. Several may ask at once.
#
# Says what is missing and ends with 1 where they cannot be fetched, with 2 where
# they do not compile.
set -u
folder=$1
source=$folder/package/deps/sqlite3
mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9

if [ ! -e "$source/sqlite3.c" ]; then
    command -v npm >/dev/null || {
        echo "there is no npm to fetch it"
        exit 1
    }
    (cd "$folder" && rm -rf package ./*.tgz &&
        timeout 120 npm pack better-sqlite3 && tar xzf ./*.tgz) \
        >"$folder/fetch.log" 2>&1 9>&- || {
        echo "it cannot be fetched, see $folder/fetch.log"
        exit 1
    }
fi
[ ! -e "$folder/sqlite3.o" ] || exit 0

# As Debian compiles it, and with the name of the system's version in it: its
# shell, which is linked with the library, works with no other.
options=(-DSQLITE_ENABLE_COLUMN_METADATA -DSQLITE_ENABLE_FTS3
    -DSQLITE_ENABLE_FTS4 -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE
    -DSQLITE_ENABLE_UNLOCK_NOTIFY -DSQLITE_ENABLE_DBSTAT_VTAB
    -DSQLITE_ENABLE_SESSION -DSQLITE_ENABLE_PREUPDATE_HOOK
    -DSQLITE_LIKE_DOESNT_MATCH_BLOBS -DSQLITE_MAX_VARIABLE_NUMBER=250000
    -DSQLITE_USE_URI -DSQLITE_SECURE_DELETE -DSQLITE_ENABLE_MATH_FUNCTIONS)
name=$(sqlite3 :memory: 'SELECT sqlite_source_id()')
sed "s/^\(#define SQLITE_SOURCE_ID\) .*/\1 \"$name\"/" \
    "$source/sqlite3.c" >"$folder/sqlite3.c"
# shellcheck disable=SC2086 # CC may be several words
${CC:-cc} -O1 -fPIC -I"$source" "${options[@]}" -c -o "$folder/sqlite3.new" \
    "$folder/sqlite3.c" >"$folder/compile.log" 2>&1 9>&- &&
    mv "$folder/sqlite3.new" "$folder/sqlite3.o" || {
    echo "it does not compile, see $folder/compile.log"
    exit 2
}
