# scenario.rb ADAPTER [second] - the scenario through a driver of Ruby.
#
# ADAPTER is a file that defines, with the code of the binding's page:
# rows(sql, *args), transaction with a block, reopen, Duplicate, Rollback, blob,
# VERSION.
$stdout.sync = true
require ENV["BLOCKS"] + "/block1"
load ARGV.shift

TEXT = "Grüße, 世界 😀"
PUT = "INSERT INTO kv(key, value) VALUES(?, ?)"

def one(sql, *args) = rows(sql, *args).dig(0, 0)

def get(key, column = "value")
  one("SELECT #{column} FROM kv WHERE key = ?", key)
end

def say(*words) = puts(words.join(" "))

if ARGV.any?
  rows(PUT, "second", 2)
  say "second-reads", get("text")
  exit
end

say "#", VERSION + ", SQLite", one("SELECT sqlite_version()")
BINARY = File.binread("binary")
def same = get("binary") == BINARY ? "same" : "different"

rows("CREATE VIRTUAL TABLE kv USING nadb")
rows("CREATE TABLE plain(x)")
transaction do
  [["text", TEXT], ["binary", blob(BINARY)], ["integer", 42], ["real", 1.5],
   ["big", 9007199254740993], ["null", nil], [5, "five"]].each do |pair|
    rows(PUT, *pair)
  end
  rows("INSERT INTO kv(key, value, tags, ttl) VALUES(?, ?, ?, ?)",
       "tagged", 1, '["b", "a"]', 3600)
end
say "text", get("text")
say "binary", same
say "binary-type", get("binary", "typeof(value)"), get("binary", "size")
say "integer", get("integer")
say "real", get("real")
say "big", get("big"), get("big", "typeof(value)")
say "null", get("null").nil? ? get("null", "typeof(value)") : "no"
say "missing", rows("SELECT 1 FROM kv WHERE key = ?", "nosuch").length
say "tags", get("tagged", "tags")
say "tag", one("SELECT key FROM kv WHERE tag = ? AND tag = ?", "a", "b")
say "match", one("SELECT key FROM kv WHERE tags MATCH ?", "a NOT c")
say "ttl", get("tagged", "ttl > 3500 AND ttl <= 3600")
say "number-key", one("SELECT key FROM kv WHERE key = ?", 5), get(5)
incr = "SELECT nadb_incr('kv', ?, ?)"
say "incr", one(incr, "n", 2), one(incr, "n", 2)
say "pop", one("SELECT nadb_pop('kv', ?)", "n")
rows("INSERT INTO kv(key, ttl) VALUES(?, ?)", "brief", 0.05)
sleep 0.005 while get("brief", "1")
say "expired", one("SELECT count(*) FROM kv WHERE key = ?", "brief")
tagged = "SELECT count(*) FROM kv WHERE tag = 'a'"
begin
  transaction do
    rows("REPLACE INTO kv(key, value) VALUES(?, ?)", "text", "lost")
    rows(PUT, "lost", 1)
    rows("INSERT INTO plain VALUES(1)")
    rows("UPDATE kv SET tags = NULL WHERE tag = ?", "a")
    say "inside", get("text"), one(tagged)
    raise Rollback
  end
rescue Rollback
end
say "rolled-back", get("text")
say "rolled-back-rows", one("SELECT count(*) FROM kv WHERE key = 'lost'"),
    one("SELECT count(*) FROM plain"), one(tagged)
transaction do
  rows(PUT, "committed", 1)
  rows("INSERT INTO plain VALUES(1)")
end
say "committed", get("committed"), one("SELECT x FROM plain")
begin
  rows(PUT, "text", 1)
rescue Duplicate => e
  say "duplicate", e.message[/UNIQUE constraint failed: kv\.key/]
end
say "keys", rows("SELECT key FROM kv ORDER BY key").flatten
reopen
say "reopen", get("text")
say "reopen-binary", same
say "second-process", system("./second") ? 0 : $?
say "second-wrote", get("second")
say "check", one("SELECT nadb_check('kv')")
