-- Reading and changing rows, with all that belongs to them: index, expiry, sets
-- of tags. m[EXPIRY] is the earliest expiry, or ''. A key of a foreign type
-- fails while it is read, before anything is changed.
include 'lib/sums'
include 'lib/feed'
local touched, sets = false, {}
local in_index, in_tags, in_expiry = false, false, false
local function types_of(tags)
  for _, t in ipairs(list(tags)) do
    if not sets[t] then
      sets[t] = true
      call('ZCARD', B .. 't:' .. t)
    end
  end
end
-- Those that will be needed, as far as what is there tells.
local function types()
  call('LLEN', C)
  feed_begin()
  if in_index then call('ZCARD', K) end
  if in_tags then call('ZCARD', G) end
  if in_expiry then
    call('ZCARD', X)
    call('HLEN', E)
    call('HLEN', Z)
  end
end
-- What is there of a key. row: its text or false; exp: its entry in `expiry`;
-- tags: those that it is registered with. `tags` are the new ones.
local function present(key, tags)
  local row = call('GET', B .. 'r:' .. key)
  local o = {row = row, tags = row and tags_of(row) or ''}
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
local function put(key, o, value, line, tags, exp)
  local r = B .. 'r:' .. key
  local v, s
  if counted() then
    count_out(key, o)
    v, s = sizes(string.match(line, '^%d+ a?%d* ?(.*)$'), value)
    count_row(key, v, s, 1)
  end
  if tags ~= '' then line = line .. ' ' .. tags end
  call('SET', r, line .. '\n' .. value)
  feed_note('p', key)
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
-- Goes on where an index is of another type: there is nothing in it.
local function drop(key, o)
  if counted() then count_out(key, o) end
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
-- Removes what is left of rows that the server has expired.
local function sweep(most)
  local gone = call('ZRANGEBYSCORE', X, '-inf', '(' .. str(now),
                    'LIMIT', 0, most)
  for _, key in ipairs(gone) do
    local tags = redis.pcall('HGET', E, key)
    drop(key, {exp = true, tags = type(tags) == 'string' and tags or ''})
    feed_note('x', key)
  end
  return #gone
end
local function note_expiry()
  note_sum()
  feed_end()
  if not touched then return end
  local first = call('ZRANGE', X, 0, 0, 'WITHSCORES')[2] or ''
  if first ~= m[EXPIRY] then call('HSET', M, 'expiry', first) end
end
