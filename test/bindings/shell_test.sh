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
