#!/bin/bash
# shell_test.sh - nadb from the sqlite3 shell (bindings.test).
#
# usage: shell_test.sh library folder
set -u

lib=$1
folder=$2
db=$folder/shell.db
text='Grüße, 世界'

# check NAME GOT EXPECTED
check() {
    if [ "$2" = "$3" ]; then
        echo "ok $1"
    else
        echo "not ok $1: got $2, expected $3"
    fi
}

# sql STATEMENT..: what the shell prints for it
sql() { sqlite3 -batch "$db" ".load $lib" "$@" 2>&1; }

head -c 524288 /dev/urandom >"$folder/binary"
head -c 524288 /dev/zero >>"$folder/binary"

check create "$(sql 'CREATE VIRTUAL TABLE kv USING nadb')" ''
check put "$(sql "INSERT INTO kv(key, value) VALUES('text', '$text'),
    ('binary', readfile('$folder/binary'))" \
    "INSERT INTO kv(key, value, tags, ttl)
     VALUES('tagged', 1.5, '[\"b\", \"a\"]', 3600)")" ''
check text "$(sql "SELECT value FROM kv WHERE key = 'text'")" "$text"
sql "SELECT writefile('$folder/copy', value) FROM kv WHERE key = 'binary'" \
    >/dev/null
check binary "$(cmp "$folder/binary" "$folder/copy" && echo same)" same
check tags "$(sql "SELECT tags FROM kv WHERE key = 'tagged'")" '["a","b"]'
check ttl "$(sql "SELECT ttl BETWEEN 3500 AND 3600 FROM kv
    WHERE key = 'tagged'")" 1
check rolled-back "$(sql "BEGIN" \
    "REPLACE INTO kv(key, value) VALUES('text', 'lost')" \
    "SELECT value FROM kv WHERE key = 'text'" "ROLLBACK" \
    "SELECT value FROM kv WHERE key = 'text'")" "$(printf 'lost\n%s' "$text")"
check duplicate "$(sql "INSERT INTO kv(key) VALUES('text')" |
    grep -c 'UNIQUE constraint failed: kv.key')" 1
check keys "$(sql 'SELECT key FROM kv ORDER BY key' | tr '\n' ' ')" \
    'binary tagged text '

# One shell stays open, a second one writes, the first one sees it.
coproc first { sqlite3 -batch "$db"; }
# shellcheck disable=SC2154 # set by coproc
exec 3>&"${first[1]}" 4<&"${first[0]}"
echo ".load $lib" >&3
echo "SELECT value FROM kv WHERE key = 'text';" >&3
read -r -t 20 line <&4
check reopen "$line" "$text"
check second-process "$(sql "INSERT INTO kv(key, value) VALUES('second', 2)")" ''
echo "SELECT value FROM kv WHERE key = 'second';" >&3
read -r -t 20 line <&4
check second-process-seen "$line" 2
echo .quit >&3
exec 3>&- 4<&-
wait
check schema "$(sql .schema | head -n 1)" 'CREATE VIRTUAL TABLE kv USING nadb'
check dump-loads "$(sql .dump | grep -c 'INSERT INTO sqlite_schema')" 1

# Tags and expiry.
check tags-create "$(sql 'CREATE VIRTUAL TABLE jobs USING nadb' \
    "WITH RECURSIVE n(i) AS (VALUES(0) UNION ALL
        SELECT i + 1 FROM n WHERE i < 99)
     INSERT INTO jobs(key, value, tags, ttl) SELECT printf('job:%03d', i), i,
        json_array('all', 'm' || (i % 3), iif(i % 10, 'all', 'ten')),
        iif(i % 2, 3600, NULL) FROM n;
     INSERT INTO jobs(key, tags, ttl)
        VALUES('brief', '[\"brief\", \"all\"]', 0.02)")" ''
check match "$(sql "SELECT key FROM jobs WHERE tags MATCH 'ten NOT m0'
    AND key > 'job:010' ORDER BY key LIMIT 3" | tr '\n' ' ')" \
    'job:020 job:040 job:050 '
until [ "$(sql "SELECT count(*) FROM jobs WHERE tag = 'brief'")" = 0 ]; do
    :
done
check expired "$(sql "SELECT * FROM nadb_tags('jobs')
    WHERE tag IN ('all', 'brief')")" 'all|100'
check functions "$(sql "SELECT nadb_tag('jobs', 'job:001', 'x', '$text'),
    nadb_untag('jobs', 'job:001', 'all'), nadb_tags('jobs', 'job:001'),
    nadb_set_ttl('jobs', 'job:001', NULL), nadb_pop('jobs', 'job:002')")" \
    "2|1|[\"$text\",\"m1\",\"x\"]|1|2"
check tags-rolled-back "$(sql BEGIN \
    "UPDATE jobs SET tags = NULL WHERE tags MATCH 'm0 OR m1'" \
    "DELETE FROM jobs WHERE tag = 'm2'" \
    "SELECT count(*) FROM nadb_tags('jobs')" ROLLBACK \
    "SELECT sum(count) FROM nadb_tags('jobs')")" "$(printf '0\n209')"
# CSV goes out and comes in, with and without its header.
sql "INSERT INTO jobs(key, value, tags, created_at) VALUES
    ('odd, \"key\"', 'two
lines', '[\"a,b\",\"c \"\"]', -1.5), ('null', NULL, NULL, 5)" >/dev/null
sql ".mode csv" ".once $folder/out.csv" "SELECT * FROM jobs" \
    ".headers on" ".once $folder/headed.csv" "SELECT * FROM jobs"
check csv "$(sql 'CREATE VIRTUAL TABLE back USING nadb' \
    'CREATE VIRTUAL TABLE back2 USING nadb' \
    ".import --csv $folder/out.csv back" \
    ".import --csv --skip 1 $folder/headed.csv back2")" ''
same="SELECT key, CAST(ifnull(value, '') AS TEXT), tags, expires_at,
    created_at, updated_at FROM"
for table in back back2; do
    check "csv-$table" "$(sql "SELECT count(*) > 90 FROM $table" \
        "$same jobs EXCEPT $same $table")" 1
done
check check "$(sql "SELECT nadb_check('jobs')")" ok
