#!/bin/bash
# run.sh [LIBRARY [NAME ..]] - an nadb table through the ORMs and drivers of
# other languages (docs/orms.md): sqlalchemy, django, peewee, activerecord,
# better_sqlite3. Installs what is missing, which is much; so it is `make orms`
# and no part of `make test`. Ends with "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
lib=$(realpath "${1:-build/nadb.so}")
shift
names=${*:-sqlalchemy django peewee activerecord better_sqlite3}
js=$PWD/build/js
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

need() { bash test/support/need.sh "$@"; }

# better-sqlite3 has an SQLite of its own, and is compiled where no binary fits.
need_better_sqlite3() {
    [ -d "$js/node_modules/better-sqlite3/build/Release" ] && return
    command -v npm >/dev/null || need nodejs npm g++
    mkdir -p "$js"
    (cd "$js" && npm init -y && npm install better-sqlite3@12 &&
        { npm install-scripts approve better-sqlite3; npm rebuild; }) \
        >"$work/npm.log" 2>&1 || tail -n 20 "$work/npm.log"
}

program() {
    case $1 in
    sqlalchemy | django | peewee)
        need python3 "python3-$1"
        echo "/usr/bin/python3 $PWD/test/orms/$1_test.py"
        ;;
    activerecord)
        need ruby ruby-activerecord ruby-sqlite3
        echo "ruby $PWD/test/orms/activerecord_test.rb"
        ;;
    better_sqlite3)
        need_better_sqlite3 >&2
        echo "node $PWD/test/orms/better_sqlite3_test.mjs"
        ;;
    esac
}

for name in $names; do
    command=$(program "$name")
    mkdir -p "$work/$name"
    # shellcheck disable=SC2086 # words of a command
    (cd "$([ "$name" = better_sqlite3 ] && echo "$js" || echo "$work")" &&
        timeout 120 $command "${lib%.so}" "$work/$name") \
        >"$work/$name.log" 2>&1
    code=$?
    ok=$(grep -c '^ok ' "$work/$name.log")
    bad=$(grep -c '^not ok ' "$work/$name.log")
    if [ $code -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    [ "$bad" -eq 0 ] || tail -n 30 "$work/$name.log"
    printf '%-16s %3d passed, %d failed\n' "$name" "$ok" "$bad"
    passed=$((passed + ok))
    failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
