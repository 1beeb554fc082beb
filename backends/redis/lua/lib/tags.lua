-- The set of each tag has the keys of its rows. The tags of a row that expires
-- are also in `xtags`, so that its sets can be cleaned up after the server has
-- removed the row. `tags` is JSON, or ''. Rows and additions to sets are
-- gathered until flush(), because one command for many keys is faster.
include 'lib/list'
local named, waiting, texts, n_texts = {}, {}, {}, 0
local function write_texts()
  if n_texts > 0 then call('MSET', unpack(texts)) end
  texts, n_texts = {}, 0
end
local function set(name, text)
  texts[n_texts + 1], texts[n_texts + 2] = name, text
  n_texts = n_texts + 2
  if n_texts == 1000 then write_texts() end
end
local function flush()
  write_texts()
  for set, list in pairs(waiting) do
    if list.n > 0 then call('ZADD', set, unpack(list)) end
  end
  waiting = {}
end
local function add(set, key)
  local list = waiting[set]
  if not list then
    list = {n = 0}
    waiting[set] = list
  end
  local n = list.n
  list[n + 1], list[n + 2] = '0', key
  list.n = n + 2
  if n == 998 then
    call('ZADD', set, unpack(list))
    waiting[set] = nil
  end
end
local function join(key, tags)
  for _, t in ipairs(list(tags)) do
    add(B .. 't:' .. t, key)
    if not named[t] then
      call('ZADD', G, 0, t)
      named[t] = true
    end
  end
end
-- A set of another type has no entry to remove.
local function quit(key, t)
  local set = B .. 't:' .. t
  if redis.pcall('ZREM', set, key) == 1 and call('EXISTS', set) == 0 and
     not waiting[set] then
    call('ZREM', G, t)
    named[t] = nil
  end
end
local function leave(key, tags)
  for _, t in ipairs(list(tags)) do quit(key, t) end
end
