-- Reading and changing rows together with their entries in index, expiry and
-- sets of tags. m[EXPIRY] is the earliest expiry, or ''. A key of another type
-- is an error when it is read, before any change.
include 'lib/sums'
include 'lib/feed'
local touched, sets = false, {}
local in_index, in_tags, in_expiry = false, false, false
local function types_of(tags)
  if tags == '' then return end
  for _, t in ipairs(list(tags)) do
    if not sets[t] then
      sets[t] = true
      call('ZCARD', B .. 't:' .. t)
    end
  end
end
-- Checks the types of the keys that will probably be needed.
local function types()
  call('LLEN', C)
  if feed then feed_begin() end
  if in_index then call('ZCARD', K) end
  if in_tags then call('ZCARD', G) end
  if in_expiry then
    call('ZCARD', X)
    call('HLEN', E)
    call('HLEN', Z)
  end
end
-- Reads a key's present state. `tags` are the new tags; `row` is the row if it
-- was read, else nil. Returns row: its text or false; exp: its entry in
-- `expiry`; tags: those of its entries; the other fields as returned by
-- parts_of().
local function present(key, tags, row)
  if row == nil then row = call('GET', B .. 'r:' .. key) end
  local o = {row = row, tags = ''}
  if row then
    o.was, o.known, o.age, o.kind, o.codec, o.tags, o.at = parts_of(row)
    o.tags = o.tags or tags_of(row)
  end
  in_index = in_index or not row
  if m[EXPIRY] and m[EXPIRY] ~= '' then
    o.exp = call('ZSCORE', X, key)
    if o.exp and not o.row then o.tags = call('HGET', E, key) or '' end
  end
  in_tags = in_tags or tags ~= o.tags
  types_of(o.tags)
  types_of(tags)
  return o
end
-- `head` is the result of born(), `rest` the rest of the line without the tags.
local function put(key, o, value, head, rest, tags, exp)
  local r = B .. 'r:' .. key
  local v, s
  if sum then
    v, s = sizes(rest, value)
    count_out(key, o)
    count_row(key, v, s, 1)
  end
  local text = head .. ' ' .. rest .. (tags == '' and '\n' or
                                       ' ' .. tags .. '\n') .. value
  if exp == '' then set(r, text) else call('SET', r, text) end
  if feed then feed_note('p', key) end
  if not o.row then add(K, key) end
  if tags ~= o.tags then
    leave(key, o.tags)
    join(key, tags)
  end
  if exp ~= '' then
    call('ZADD', X, exp, key)
    call('PEXPIREAT', r, exp)
    if tags ~= '' then
      call('HSET', E, key, tags)
    elseif o.exp and o.tags ~= '' then
      call('HDEL', E, key)
    end
    if v then call('HSET', Z, key, str(v) .. ' ' .. str(s)) end
    touched = true
  elseif o.exp then
    call('ZREM', X, key)
    call('HDEL', E, key)
    call('HDEL', Z, key)
    touched = true
  end
end
-- Ignores an index of another type: it has no entry to remove.
local function drop(key, o)
  if sum then count_out(key, o) end
  call('UNLINK', B .. 'r:' .. key)
  redis.pcall('ZREM', K, key)
  leave(key, o.tags)
  if o.exp then
    redis.pcall('ZREM', X, key)
    redis.pcall('HDEL', E, key)
    redis.pcall('HDEL', Z, key)
    touched = true
  end
end
local function note_expiry()
  if feed then feed_end() end
  if not touched then return end
  local first = call('ZRANGE', X, 0, 0, 'WITHSCORES')[2] or ''
  if first ~= m[EXPIRY] then call('HSET', M, 'expiry', first) end
end
