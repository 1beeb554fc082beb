#!/bin/bash
# demo.sh - make demo: real data through SQL into a crash-safe store and back.
#
# Runs demo.sql in a temporary folder, then kills a writer in the middle of a
# load and looks at what is left. Needs Debian, and root or sudo if something
# has to be installed. Ends with exit code 1 if anything is not as it should.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

bash test/support/need.sh gcc make pkg-config libc6-dev libsqlite3-dev \
    zlib1g-dev sqlite3
make -s build/nadb.so

work=$(mktemp -d "${TMPDIR:-/tmp}/nadb-demo.XXXXXX")
writer=
cleanup() {
    [ -z "$writer" ] || kill -9 "$writer" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
cd "$work"
ln -s "$root/build/nadb.so" nadb.so

title() {
    echo
    echo "── $1 ──"
    echo
}
sql() { sqlite3 -batch demo.db '.load ./nadb' "$@"; }
fail() {
    echo "demo: $1" >&2
    exit 1
}

echo "nadb $(sql 'SELECT nadb_version()'): a key-value store inside SQLite" \
    "$(sqlite3 --version | cut -d ' ' -f 1)"
# .echo shows the SQL, and would show how it is turned off
sqlite3 -batch demo.db <"$root/sql/demo.sql" | grep -v '^\.echo off$' ||
    fail "demo.sql failed"

[ "$(sql "SELECT count(*) FROM fsdir('/usr/include') AS f
    LEFT JOIN headers AS h ON h.key = substr(f.name, 14)
    WHERE f.data IS NOT NULL AND f.mode & 61440 = 32768
      AND h.value IS NOT f.data")" = 0 ] || fail "a file differs"

title "8. Kill -9 in the middle of a load"
parts=400
sql "CREATE VIRTUAL TABLE copy USING nadb" \
    "CREATE TABLE part AS SELECT key, ntile($parts) OVER (ORDER BY key) AS n
     FROM headers"
echo "A writer copies the headers into another store, in $parts transactions."
echo "After each COMMIT it says so. In the middle of it:"
echo
{
    echo ".load ./nadb"
    for n in $(seq $parts); do
        echo "INSERT INTO copy(key, value, tags) SELECT key, value, tags"
        echo "  FROM part JOIN headers USING (key) WHERE n = $n;"
        echo "SELECT 'part $n is committed';"
    done
} >load.sql
stdbuf -oL sqlite3 -batch demo.db <load.sql >acknowledged &
writer=$!
disown # and no message when it is killed
while [ "$(wc -l <acknowledged)" -lt $((parts / 5)) ]; do
    kill -0 "$writer" 2>/dev/null || break
done
kill -9 "$writer" 2>/dev/null || true
while kill -0 "$writer" 2>/dev/null; do sleep 0.01; done
writer=
last=$(wc -l <acknowledged)
echo "    \$ kill -9    (the last words of the writer: \"$(tail -n 1 \
    acknowledged)\")"
echo
echo "Open it again, and count what is there of what was acknowledged:"
sqlite3 -batch -box demo.db '.load ./nadb' "
    SELECT count(DISTINCT n) AS acknowledged_parts, count(*) AS their_rows,
           count(copy.key) AS found, sum(copy.value = headers.value) AS identical
    FROM part JOIN headers USING (key) LEFT JOIN copy USING (key)
    WHERE n <= $last"
torn="SELECT count(*) FROM (SELECT n FROM part LEFT JOIN copy USING (key)
    GROUP BY n HAVING count(copy.key) NOT IN (0, count(*)))"
lost="SELECT count(*) FROM part LEFT JOIN copy USING (key)
    WHERE n <= $last AND copy.key IS NULL"
echo "Rows that were acknowledged and are lost: $(sql "$lost")"
echo "Transactions of which only a part is there: $(sql "$torn")"
echo "nadb_check('copy') says: $(sql "SELECT nadb_check('copy')")"
[ "$(sql "$lost") $(sql "$torn")" = "0 0" ] || fail "committed rows are lost"
[ "$(sql "SELECT nadb_check('copy')")" = ok ] || fail "the store is damaged"

title "9. What the store knows about itself"
sqlite3 -batch -box demo.db '.load ./nadb' \
    "SELECT name, value FROM nadb_stats('headers')" \
    "SELECT namespace, backend, path FROM nadb_stores"
echo
store=$(echo demo.db-nadb/main/headers*)
size=$(du -sh --apparent-size "$store" | cut -f 1)
echo "On disk: $size in $store (removed now, with the rest of the demo)."
