-- check.lua - checks that rows, index, expiry and sets of tags agree; repairs
-- them.
--
-- what      what to check, see below
-- from      '' for the first call, then the place that the last one returned
-- most      maximum number of entries
-- repair    'repair' or ''
-- tag       for `members`: the tag
--
--   keys     the index: its rows, their expiry, their tags
--   expiry   the set of expiry times: its keys
--   xtags    the tags of rows that expire
--   tags     the names of tags; also returns pairs of 'tag' and a name
--   members  the set of one tag: its rows
--
-- Returns {place for the next call or false, problem, ..}.
local what, from, most, repair, tag = unpack(ARGV, 1, 5)
most, repair = tonumber(most), repair ~= ''
include 'lib/store'
include 'lib/layout'
include 'lib/tags'
include 'lib/record'
include 'lib/rows'
include 'lib/line'
include 'lib/odd'
local out = {false}
if repair then call('DEL', P .. 'none') end
local function bad(name, is, cure)
  if is ~= '' then name = name .. ' ' .. is end
  if repair then
    sum, sum_changed = false, true
    cure()
  else
    out[#out + 1] = name
  end
end
local function by_name(set)
  local names = call('ZRANGEBYLEX', set, from == '' and '-' or '(' .. from,
                     '+', 'LIMIT', 0, most)
  if #names == most then out[1] = names[most] end
  return names
end
-- The row's line without its tags, or nil if there is no row or the key has
-- another type; and the tags.
local function row(key)
  local ok, line = pcall(line_of, key)
  if not ok then return nil, '' end
  local tags = tags_of(line)
  if tags ~= '' then line = string.sub(line, 1, -#tags - 2) end
  return line ~= '' and line or nil, tags
end
-- The row's expiry, '-' for none, nil if the line is damaged.
local function expires(line)
  local more = string.match(line, '^%d+ [nirtb]%-?%d+(.*)$') or
    string.match(line, '^%d+ a%d* [nirtb]%-?%d+(.*)$')
  if not more or string.find(string.gsub(more, ' [uecs]%-?%d+', ''), '.') then
    return nil
  end
  return string.match(more, ' e(%-?%d+)') or '-'
end
local function has(tags, tag)
  for _, t in ipairs(list(tags)) do
    if t == tag then return true end
  end
end
local function check_tags(key, tags, exp)
  local name = "key '" .. key .. "'"
  for _, t in ipairs(list(tags)) do
    local score = redis.pcall('ZSCORE', B .. 't:' .. t, key)
    if type(score) == 'table' then
      bad(odd(B .. 't:' .. t, 'zset'), '', function()
        call('UNLINK', B .. 't:' .. t)
        call('ZADD', B .. 't:' .. t, 0, key)
        call('ZADD', G, 0, t)
      end)
    elseif not score or not call('ZSCORE', G, t) then
      bad(name, "has tag '" .. t .. "', but is not in its set", function()
        call('ZADD', B .. 't:' .. t, 0, key)
        call('ZADD', G, 0, t)
      end)
    end
  end
  local x = exp ~= '-' and tags or ''
  if (call('HGET', E, key) or '') ~= x then
    bad(name, 'has other tags where those of expiring rows are kept',
        function()
      if x == '' then call('HDEL', E, key) else call('HSET', E, key, x) end
    end)
  end
end
local function check_key(key)
  local line, tags = row(key)
  local s = call('ZSCORE', X, key)
  local exp, name = line and expires(line), "key '" .. key .. "'"
  local other = not line and odd(B .. 'r:' .. key, 'string')
  if line and not string.find(line, '^%d+ ') then
    other = "'" .. B .. 'r:' .. key .. "' is not a row"
  end
  if other then
    bad(other, '', function()
      drop(key, {exp = s, tags = call('HGET', E, key) or ''})
    end)
  elseif not line then
    if not s or tonumber(s) >= now then
      bad(name, 'is in the index, but its row is not there', function()
        drop(key, {exp = s, tags = call('HGET', E, key) or ''})
      end)
    end
  elseif not exp then
    out[#out + 1] = name .. ' has a damaged row'
  else
    if exp == '-' and s then
      bad(name, 'is among those that expire, but does not', function()
        call('ZREM', X, key)
        touched = true
      end)
    elseif exp ~= '-' and (not s or tonumber(s) ~= tonumber(exp)) then
      bad(name, 'expires, but is not among those that do', function()
        call('ZADD', X, exp, key)
        touched = true
      end)
    end
    check_tags(key, tags, exp)
  end
end
local function check_expiry()
  local begin = tonumber(from ~= '' and from or 0)
  local keys = call('ZRANGE', X, begin, begin + most - 1)
  local kept = 0
  for _, key in ipairs(keys) do
    if call('ZSCORE', K, key) then
      kept = kept + 1
    else
      bad("key '" .. key .. "'", 'expires, but is not in the index',
          function()
        drop(key, {exp = true, tags = call('HGET', E, key) or ''})
      end)
      if not repair then kept = kept + 1 end
    end
  end
  if #keys == most then out[1] = str(begin + kept) end
end
local function check_xtags()
  local page = call('HSCAN', E, from ~= '' and from or '0', 'COUNT', most)
  for i = 1, #page[2], 2 do
    local key = page[2][i]
    if not call('ZSCORE', X, key) then
      bad("key '" .. key .. "'", 'has tags kept for its expiry, but does '
          .. 'not expire', function() call('HDEL', E, key) end)
    end
  end
  if page[1] ~= '0' then out[1] = page[1] end
end
local function check_names()
  for _, t in ipairs(by_name(G)) do
    local set = B .. 't:' .. t
    local other = odd(set, 'zset')
    if other then
      bad(other, '', function() call('UNLINK', set) end)
    elseif call('EXISTS', set) == 0 then
      bad("tag '" .. t .. "'", 'has no rows', function()
        call('ZREM', G, t)
      end)
    end
    if not other then
      out[#out + 1] = 'tag'
      out[#out + 1] = t
    end
  end
end
local function check_members(tag)
  for _, key in ipairs(by_name(B .. 't:' .. tag)) do
    local line, tags = row(key)
    if not line and call('ZSCORE', X, key) then
      tags = call('HGET', E, key) or ''
    end
    if not has(tags, tag) then
      bad("tag '" .. tag .. "'", "has key '" .. key ..
          "' in its set, which does not have the tag", function()
        quit(key, tag)
      end)
    end
  end
end
if what == 'keys' then
  for _, key in ipairs(by_name(K)) do check_key(key) end
elseif what == 'expiry' then
  check_expiry()
elseif what == 'xtags' then
  check_xtags()
elseif what == 'tags' then
  check_names()
else
  check_members(tag)
end
include 'lib/note_sum'
note_expiry()
return out
