#!/bin/bash
# sqlite_new.sh [short|long] - the tests with a current SQLite.
#
# Its sources (sqlite_source.sh) become a libsqlite3.so.0, which programs of the
# system then take for theirs: the suites run with it as they are, with the
# library that was compiled with the system's headers.
#
# long (default): all suites, and a library that is compiled with its headers and
# linked with it into one program (static.sh); no sources, a failure.
# short, for `make test`: some suites; no sources, "not run" and no pass. The
# program is then amalgamation.sh's.
set -u
cd "$(dirname "$0")/../.." || exit 1
. test/support/tally.sh

subject="a current SQLite"
form=${1:-long}
folder=build/sqlite-new
here=$PWD/$folder
source=$folder/package/deps/sqlite3
log=$folder/build.log
unset MAKEFLAGS MAKELEVEL MFLAGS

why=$(bash test/support/sqlite_source.sh "$folder")
case $? in
0) ;;
1) not_here "$why" ;;
*) failure "$why" ;;
esac
if [ ! -e "$folder/libsqlite3.so.0" ]; then
    # shellcheck disable=SC2086 # CC may be several words
    ${CC:-cc} -shared -Wl,-soname,libsqlite3.so.0 -o "$folder/new.so" \
        "$folder/sqlite3.o" -lm -ldl -pthread >"$log" 2>&1 &&
        mv "$folder/new.so" "$folder/libsqlite3.so.0" ||
        failure "it does not link, see $log"
fi

mkdir -p "$folder/pkgconfig"
version=$(sed -n 's/^#define SQLITE_VERSION  *"\(.*\)"/\1/p' "$source/sqlite3.h")
printf 'Name: sqlite3\nDescription: new\nVersion: %s\nCflags: -I%s\nLibs:\n' \
    "$version" "$PWD/$source" >"$folder/pkgconfig/sqlite3.pc"

path=$here${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
seen=$(echo 'package require sqlite3; sqlite3 db :memory:
    puts [db one {SELECT sqlite_version()}]' | LD_LIBRARY_PATH=$path tclsh)
[ "$seen" = "$version" ] || failure "tclsh has SQLite $seen, not $version"
seen=$(LD_LIBRARY_PATH=$path sqlite3 :memory: 'SELECT sqlite_version()')
[ "$seen" = "$version" ] || failure "the shell has SQLite $seen, not $version"
echo "SQLite $version"

if [ "$form" != short ]; then
    PKG_CONFIG_PATH=$here/pkgconfig:${PKG_CONFIG_PATH:-} \
        bash test/support/static.sh "$folder" | tee "$folder/static.log"
    of_last_line 0 "$folder/static.log"
fi

suites=(load create func keys plan txn tagindex stamps)
[ "$form" = short ] || suites=()
LD_LIBRARY_PATH=$path NADB_LOGS=$folder/log NADB_WITHIN=1 \
    bash test/run.sh test "${suites[@]}" | tee "$folder/suites.log"
of_last_line 0 "$folder/suites.log"
tally
