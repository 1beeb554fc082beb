# The scenario through the sqlite3 shell: a process for each call of sql, but
# for the one that stays open while a second process writes.
. "$BLOCKS/block1.sh" # the page's line in ~/.sqliterc

# sql STATEMENT..: what the shell prints for it, with blanks for its | and lines
sql() { sqlite3 -batch scenario.db "$@" 2>&1; }
words() { sql "$@" | tr '|\n' '  ' | sed 's/ $//'; }
say() { echo "$1 ${*:2}"; }
get() { sql "SELECT ${2:-value} FROM kv WHERE key = '$1'"; }
binary() {
    sql "SELECT writefile('copy', value) FROM kv WHERE key = 'binary'" >copied
    cmp -s binary copy && echo same
}

if [ $# -gt 0 ]; then
    sql "INSERT INTO kv(key, value) VALUES('second', 2)"
    say second-reads "$(get text)"
    exit
fi
text='Grüße, 世界 😀'
echo "# SQLite $(sqlite3 --version | cut -d ' ' -f 1)"
sql "CREATE VIRTUAL TABLE kv USING nadb; CREATE TABLE plain(x)" BEGIN \
    ".parameter init" ".parameter set :text \"'$text'\"" \
    "INSERT INTO kv(key, value) VALUES('text', :text), ('integer', 42),
        ('binary', readfile('binary')), ('real', 1.5), ('null', NULL),
        ('big', 9007199254740993), (5, 'five');
     INSERT INTO kv(key, value, tags, ttl)
        VALUES('tagged', 1, '[\"b\", \"a\"]', 3600)" COMMIT
say text "$(get text)"
say binary "$(binary)"
say binary-type "$(get binary "typeof(value) || ' ' || size")"
say integer "$(get integer)"
say real "$(get real)"
say big "$(get big "value || ' ' || typeof(value)")"
say null "$(get null 'typeof(value)')"
say missing "$(get nosuch | wc -l)"
say tags "$(get tagged tags)"
say tag "$(sql "SELECT key FROM kv WHERE tag = 'a' AND tag = 'b'")"
say match "$(sql "SELECT key FROM kv WHERE tags MATCH 'a NOT c'")"
say ttl "$(get tagged 'ttl > 3500 AND ttl <= 3600')"
say number-key "$(sql 'SELECT key FROM kv WHERE key = 5') $(get 5)"
incr="SELECT nadb_incr('kv', 'n', 2)"
say incr "$(sql "$incr") $(sql "$incr")"
say pop "$(sql "SELECT nadb_pop('kv', 'n')")"
sql "INSERT INTO kv(key, ttl) VALUES('brief', 0.05)"
while [ "$(get brief 1)" = 1 ]; do :; done
say expired "$(sql "SELECT count(*) FROM kv WHERE key = 'brief'")"
sql BEGIN "REPLACE INTO kv(key, value) VALUES('text', 'lost'), ('lost', 1);
    INSERT INTO plain VALUES(1); UPDATE kv SET tags = NULL WHERE tag = 'a';
    SELECT 'inside ' || value || ' ' || (SELECT count(*) FROM kv
        WHERE tag = 'a') FROM kv WHERE key = 'text';" ROLLBACK \
    "SELECT 'rolled-back ' || value FROM kv WHERE key = 'text';
    SELECT 'rolled-back-rows ' || (SELECT count(*) FROM kv WHERE key = 'lost')
        || ' ' || (SELECT count(*) FROM plain) || ' ' ||
        (SELECT count(*) FROM kv WHERE tag = 'a')"
sql BEGIN "INSERT INTO kv(key, value) VALUES('committed', 1);
    INSERT INTO plain VALUES(1)" COMMIT
say committed "$(get committed) $(sql 'SELECT x FROM plain')"
say duplicate "$(sql "INSERT INTO kv(key) VALUES('text')" |
    grep -o 'UNIQUE constraint failed: kv.key')"
say keys "$(words 'SELECT key FROM kv ORDER BY key')"

# One shell stays open, and sees what a second process writes.
coproc first { sqlite3 -batch scenario.db; }
# shellcheck disable=SC2154 # set by coproc
exec 3>&"${first[1]}" 4<&"${first[0]}"
echo "SELECT value FROM kv WHERE key = 'text';" >&3
read -r -t 20 line <&4
say reopen "$line"
say reopen-binary "$(binary)"
./second
say second-process $?
echo "SELECT value FROM kv WHERE key = 'second';" >&3
read -r -t 20 line <&4
say second-wrote "$line"
echo .quit >&3
exec 3>&- 4<&-
wait
say check "$(sql "SELECT nadb_check('kv')")"
