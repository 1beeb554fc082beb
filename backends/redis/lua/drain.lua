-- drain.lua - applies transactions of a machine that buffers.
--
-- Arguments: owner, token, flags (d: only deletes; c: see below), log and
-- offset where they begin, log and offset where they end, server; then the
-- changes:
--
--   's' n, then n times key value rest-of-line      no tags, no expiry
--   'e' n rest-of-line, then n times key value      the same rest for all
--   'p' key value rest-of-line tags expiry
--   'd' key
--   'c'                                             a clear
--
-- Returns {'ok', '1' if clean.lua has work}; {'fenced'}: the caller does not
-- have the lease; {'gap'}: the transactions do not begin where the last call
-- ended, so some would be applied twice or left out; {'foreign'}: another
-- client has written since the last call. After 'foreign', the caller sends one
-- transaction per call with flag c: it is applied only if no other client has
-- written its keys, else the result is {'taken', key}. A call without changes
-- only moves the mark.
--
-- The owner's mark is `<log> <offset> <since>`, where `since` is the version
-- after its last call. With flag c, `since` stays and the mark gets a fourth
-- word, the version up to which others have written, until the owner has sent
-- everything (lease.lua).
local me, mine, flags, log, off, end_log, end_off, server = unpack(ARGV, 1, 8)
local first_change = 9
include 'lib/store'
include 'lib/layout'
include 'lib/odd'
include 'lib/lost'
include 'lib/is_lost'
if is_lost() then return {'corrupt', missing(M)} end
include 'lib/tags'
include 'lib/record'
include 'lib/sizes_of'
include 'lib/rows_of'
include 'lib/rows'
include 'lib/changes'
include 'lib/versions'
include 'lib/lease'
if owner ~= me or token ~= mine or till <= now then return {'fenced'} end

-- A key of this call that another client has written after version `since` and
-- up to version `upto`; later versions are ours. The version of a row shows
-- that; for a deleted row the list of changes does, if it reaches back so far.
local function taken_key(since, upto)
  local function theirs(v)
    return tonumber(v) > since and tonumber(v) <= upto
  end
  include 'lib/changes_since'
  local listed = tonumber(call('HGET', M, 'listed') or 0)
  if ARGV[first_change] and theirs(gen) then return '' end
  local recent = changes_since(since, theirs)
  if is_cut() then listed = ver end
  local i = first_change
  while ARGV[i] do
    local op, key = ARGV[i], ARGV[i + 1]
    if op == 'c' then return '' end
    local was = string.match(call('GETRANGE', B .. 'r:' .. key, 0, 16), '^%d+')
    if was and theirs(was) or
       not was and (recent[key] or since < listed) then
      return key
    end
    i = i + (op == 'd' and 2 or 6)
  end
end
local mark = call('HGET', M, 'b:' .. owner) or '0 0 0'
local since, upto = string.match(mark, '^%d+ %d+ (%d+) ?(%d*)$')
if string.match(mark, '^%d+ %d+') ~= log .. ' ' .. off then return {'gap'} end
local foreign = upto ~= '' or since ~= str(ver)
local careful = foreign and string.find(flags, 'c')
if careful then
  if upto == '' then upto = str(ver) end
  local key = taken_key(tonumber(since), tonumber(upto))
  if key then return {'taken', key} end
elseif foreign then
  return {'foreign'}
end
local function advance()
  local done = careful and since .. ' ' .. upto or str(ver)
  call('HSET', M, 'b:' .. owner, end_log .. ' ' .. end_off .. ' ' .. done)
end
if not ARGV[first_change] then
  call('DEL', P .. 'none')
  advance()
  return {'ok', ''}
end
in_index, in_tags, in_expiry = true, true, true
types()
if index_is_lost() then return {'corrupt', missing(K)} end
if expiry_is_lost() then return {'corrupt', missing(X)} end
call('ZCARD', D)
if string.find(flags, 'd') then call('DEL', P .. 'none') end
next_version()
local v = str(ver)

-- Changes that wait for flush() must be written before the same key is changed
-- again.
local seen = {}
local function settle()
  if next(seen) then
    flush()
    seen = {}
  end
end
local function touch(key)
  if seen[key] then settle() end
  seen[key] = true
end

-- A clear by a machine that buffers cannot be undone here, so its rows may be
-- removed at once. m[EXPIRY] must not say that no row expires if a row of this
-- call does.
local soonest = m[EXPIRY]
local function clear()
  settle()
  next_version()
  v = str(ver)
  include 'lib/generations'
  new_generation(v, 60000)
  if feed then feed_note('c', '') end
  soonest = ''
  named = {}
end
local function write(key, o, value, rest, tags, exp)
  put(key, o, value, born(v, o.was, o.known, o.age), rest, tags, exp)
end

-- Most changes are puts of rows without tags and expiry, into a store without
-- tags and expiry. These are gathered: GATHER of them are read and written by
-- one command each. Larger groups are slower, because Lua's memory grows. The
-- age of an old row becomes unknown.
local GATHER, mine_new = 64, {}
local names, keys, values, lines, place, gathered = {}, {}, {}, {}, {}, 0
local function is_as_is(line)
  return string.find(line, '^[ntb]') and not string.find(line, ' c', 1, true)
end
local function write_gathered()
  if gathered == 0 then return end
  local was, fresh, over = rows_of(names), v .. ' ', v .. ' a '
  local texts, sum, k_sum, v_sum, s_sum = {}, sum, 0, 0, 0
  local as_is, last = false, nil
  for k = 1, gathered do
    local value, line, row = values[k], lines[k], was[k]
    if sum then
      if line ~= last then as_is, last = is_as_is(line), line end
      local bytes, stored = #value, #value
      if not as_is then bytes, stored = sizes(line, value) end
      if row then
        local bytes_was, stored_was = sizes_of(row)
        bytes, stored = bytes - bytes_was, stored - stored_was
      end
      v_sum, s_sum = v_sum + bytes, s_sum + stored
    end
    local head = over
    if not row then
      local key = keys[k]
      mine_new[key] = true
      k_sum = k_sum + #key
      add(K, key)
      head = fresh
    elseif mine_new[keys[k]] then
      head = fresh
    end
    texts[2 * k - 1], texts[2 * k] = names[k], head .. line .. '\n' .. value
  end
  call('MSET', unpack(texts))
  flush()
  if sum then
    sum[1], sum[2], sum[3] = sum[1] + k_sum, sum[2] + v_sum, sum[3] + s_sum
    sum_changed = true
  end
  names, keys, values, lines, place, gathered = {}, {}, {}, {}, {}, 0
end
local is_plain
local function puts(first, n, step, rest)
  local last = first + step * n - 1
  if is_plain == nil then
    settle()
    is_plain = m[EXPIRY] == '' and call('EXISTS', G) == 0
  end
  if is_plain then
    local b = B .. 'r:'
    for j = first, last, step do
      local key = ARGV[j]
      local k = place[key]
      if not k then
        k = gathered + 1
        gathered = k
        place[key], keys[k], names[k] = k, key, b .. key
      end
      values[k], lines[k] = ARGV[j + 1], rest or ARGV[j + 2]
      if feed then feed_note('p', key) end
      if k == GATHER then write_gathered() end
    end
    return last + 1
  end
  for j = first, last, step do
    local key = ARGV[j]
    touch(key)
    write(key, present(key, ''), ARGV[j + 1], rest or ARGV[j + 2], '', '')
  end
  return last + 1
end

local i, last_put = first_change, nil
while ARGV[i] do
  local op, key = ARGV[i], ARGV[i + 1]
  if op ~= 's' and op ~= 'e' then
    write_gathered()
    is_plain = nil
  end
  if op == 's' then
    last_put = ARGV[i + 2]
    i = puts(i + 2, tonumber(key), 3)
  elseif op == 'e' then
    last_put = ARGV[i + 3]
    i = puts(i + 3, tonumber(key), 2, ARGV[i + 2])
  elseif op == 'p' then
    last_put = key
    local tags, exp = ARGV[i + 4], ARGV[i + 5]
    touch(key)
    write(key, present(key, tags), ARGV[i + 2], ARGV[i + 3], tags, exp)
    if exp ~= '' and m[EXPIRY] == '' then m[EXPIRY] = '-' end
    i = i + 6
  elseif op == 'd' then
    touch(key)
    local o = present(key, '')
    drop(key, o)
    if feed and o.row then feed_note('d', key) end
    call('RPUSH', C, v .. ' ' .. key)
    i = i + 2
  else
    clear()
    i = i + 1
  end
end
write_gathered()
flush()
-- The version of a row shows that it was written, so only deleted rows are in
-- the list. The last row that was put is added, so that a lost index is
-- noticed.
if last_put then call('RPUSH', C, v .. ' ' .. last_put) end
floor = ver
call('HSET', M, 'floor', v)
include 'lib/cut_changes'
cut_changes()
if soonest ~= '' and tonumber(soonest) < now then
  include 'lib/sweep'
  sweep(100)
  touched = true
end
include 'lib/note_sum'
note_expiry()
advance()
return {'ok', m[DEAD] or ''}
