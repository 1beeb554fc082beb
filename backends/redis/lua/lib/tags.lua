-- The set of each tag has the keys of its rows. A row that expires has its
-- tags in `xtags` too, for who removes it when the server has. `tags` is JSON,
-- or ''. What is to be added to a set waits for flush(), because one call for
-- many keys is faster.
local decoded, named, waiting = {}, {}, {}
local function list(json)
  if not json or json == '' then return {} end
  local t = decoded[json]
  if not t then
    local ok
    ok, t = pcall(cjson.decode, json)
    if not ok or type(t) ~= 'table' then t = {} end
    decoded[json] = t
  end
  return t
end
local function flush()
  for set, list in pairs(waiting) do
    if #list > 0 then call('ZADD', set, unpack(list)) end
  end
  waiting = {}
end
local function add(set, key)
  local list = waiting[set]
  if not list then
    list = {}
    waiting[set] = list
  end
  list[#list + 1] = 0
  list[#list + 1] = key
  if #list == 1000 then
    call('ZADD', set, unpack(list))
    waiting[set] = {}
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
-- Where a set is of another type, there is nothing in it.
local function quit(key, t)
  local set = B .. 't:' .. t
  if redis.pcall('ZREM', set, key) == 1 and call('EXISTS', set) == 0 and
     #(waiting[set] or {}) == 0 then
    call('ZREM', G, t)
    named[t] = nil
  end
end
local function leave(key, tags)
  for _, t in ipairs(list(tags)) do quit(key, t) end
end
