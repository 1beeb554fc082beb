# CSV goes out and comes in, with and without its header; .schema and .dump.
. "$BLOCKS/block1.sh"
sql() { sqlite3 -batch csv.db "$@" 2>&1; }
check() { # NAME GOT EXPECTED
    [ "$2" = "$3" ] && echo "ok $1" || echo "not ok $1: got $2, expected $3"
}

sql 'CREATE VIRTUAL TABLE kv USING nadb' "WITH RECURSIVE
    n(i) AS (VALUES(0) UNION ALL SELECT i + 1 FROM n WHERE i < 99)
    INSERT INTO kv(key, value, tags, ttl) SELECT printf('job:%03d', i), i,
        json_array('all', 'm' || (i % 3)), iif(i % 2, 3600, NULL) FROM n;
    INSERT INTO kv(key, value, tags, created_at) VALUES
    ('odd, \"key\"', 'two
lines', '[\"a,b\",\"c \\\"\"]', -1.5), ('null', NULL, NULL, 5)"
sql ".mode csv" ".once out.csv" "SELECT * FROM kv" \
    ".headers on" ".once headed.csv" "SELECT * FROM kv"
check csv "$(sql 'CREATE VIRTUAL TABLE back USING nadb' \
    'CREATE VIRTUAL TABLE back2 USING nadb' ".import --csv out.csv back" \
    ".import --csv --skip 1 headed.csv back2")" ''
same="SELECT key, CAST(ifnull(value, '') AS TEXT), tags, expires_at,
    created_at, updated_at FROM"
for table in back back2; do
    check "csv-$table" "$(sql "SELECT count(*) FROM $table" \
        "$same kv EXCEPT $same $table")" 102
done
check schema "$(sql .schema | head -n 1)" 'CREATE VIRTUAL TABLE kv USING nadb'
check dump-loads "$(sql .dump | grep -c 'INSERT INTO sqlite_schema')" 3
