-- The scenario through LuaJIT and LuaSQL.
dofile(os.getenv "BLOCKS" .. "/block1.lua") -- the page's hook
io.stdout:setvbuf "no"

local env = require "luasql.sqlite3".sqlite3()
local db = assert(env:connect "scenario.db")

local function quote(value)
  if value == nil then return "NULL" end
  if type(value) == "number" then return tostring(value) end
  return "'" .. db:escape(value) .. "'"
end

-- The rows; each ? of the statement stands for an argument.
local function rows(sql, ...)
  local args, n = { ... }, 0
  sql = sql:gsub("%?", function()
    n = n + 1
    return (quote(args[n]):gsub("%%", "%%%%"))
  end)
  local cursor = assert(db:execute(sql))
  local found = {}
  if type(cursor) == "number" then return found end
  local row = cursor:fetch({}, "n")
  while row do
    found[#found + 1] = row
    row = cursor:fetch({}, "n")
  end
  cursor:close()
  return found
end

local function one(sql, ...)
  local row = rows(sql, ...)[1]
  return row and row[1]
end

local function get(key, column)
  return one("SELECT " .. (column or "value") .. " FROM kv WHERE key = ?", key)
end

local function put(key, value)
  rows("INSERT INTO kv(key, value) VALUES(?, ?)", key, value)
end

local function say(...)
  local words = { ... }
  for i = 1, select("#", ...) do words[i] = tostring(words[i]) end
  print(table.concat(words, " "))
end

if arg[1] then
  put("second", 2)
  say("second-reads", get "text")
  return
end
say("# " .. jit.version .. ", LuaSQL, SQLite", one "SELECT sqlite_version()")
local f = assert(io.open("binary", "rb"))
local binary = f:read "*a"
f:close()
local function same()
  local hex = get("binary", "hex(value)"):gsub("..", function(byte)
    return string.char(tonumber(byte, 16))
  end)
  return hex == binary and "same" or "different"
end

rows "CREATE VIRTUAL TABLE kv USING nadb"
rows "CREATE TABLE plain(x)"
rows "BEGIN"
put("text", "Grüße, 世界 😀")
rows("INSERT INTO kv(key, value) VALUES('binary', x'" ..
  binary:gsub(".", function(c) return ("%02x"):format(c:byte()) end) .. "')")
put("integer", 42)
put("real", 1.5)
rows "INSERT INTO kv(key, value) VALUES('big', 9007199254740993)"
put("null", nil)
put(5, "five")
rows("INSERT INTO kv(key, value, tags, ttl) VALUES(?, 1, ?, ?)", "tagged",
  '["b", "a"]', 3600)
rows "COMMIT"
say("text", get "text")
say("binary", same())
say("binary-type", get("binary", "typeof(value)"), get("binary", "size"))
say("integer", get "integer")
say("real", get "real")
say("big", get("big", "CAST(value AS TEXT)"), get("big", "typeof(value)"))
say("null", get "null" == nil and get("null", "typeof(value)") or "no")
say("missing", #rows("SELECT 1 FROM kv WHERE key = ?", "nosuch"))
say("tags", get("tagged", "tags"))
say("tag", one("SELECT key FROM kv WHERE tag = ? AND tag = ?", "a", "b"))
say("match", one("SELECT key FROM kv WHERE tags MATCH ?", "a NOT c"))
say("ttl", get("tagged", "ttl > 3500 AND ttl <= 3600"))
say("number-key", one("SELECT key FROM kv WHERE key = ?", 5), get(5))
-- A SELECT would be run twice (docs/bindings/lua.md).
rows "CREATE TEMP TABLE result(n)"
local function call(sql)
  rows("DELETE FROM result")
  rows("INSERT INTO result SELECT " .. sql)
  return one "SELECT n FROM result"
end
say("incr", call "nadb_incr('kv', 'n', 2)", call "nadb_incr('kv', 'n', 2)")
say("pop", call "nadb_pop('kv', 'n')")
rows("INSERT INTO kv(key, ttl) VALUES(?, ?)", "brief", 0.05)
while get("brief", "1") do os.execute "sleep 0.01" end
say("expired", one("SELECT count(*) FROM kv WHERE key = ?", "brief"))
local tagged = "SELECT count(*) FROM kv WHERE tag = 'a'"
rows "BEGIN"
rows("REPLACE INTO kv(key, value) VALUES(?, ?)", "text", "lost")
put("lost", 1)
rows "INSERT INTO plain VALUES(1)"
rows("UPDATE kv SET tags = NULL WHERE tag = ?", "a")
say("inside", get "text", one(tagged))
rows "ROLLBACK"
say("rolled-back", get "text")
say("rolled-back-rows", one "SELECT count(*) FROM kv WHERE key = 'lost'",
  one "SELECT count(*) FROM plain", one(tagged))
rows "BEGIN"
put("committed", 1)
rows "INSERT INTO plain VALUES(1)"
rows "COMMIT"
say("committed", get "committed", one "SELECT x FROM plain")
local _, message = pcall(put, "text", 1)
say("duplicate", message:match "UNIQUE constraint failed: kv%.key")
local keys = {}
for _, row in ipairs(rows "SELECT key FROM kv ORDER BY key") do
  keys[#keys + 1] = row[1]
end
say("keys", unpack(keys))
db:close()
db = assert(env:connect "scenario.db")
say("reopen", get "text")
say("reopen-binary", same())
say("second-process", os.execute "./second")
say("second-wrote", get "second")
say("check", one "SELECT nadb_check('kv')")
db:close()
env:close()
