-- drain.lua - applies transactions of a machine that buffers.
--
-- Arguments: owner, token, flags (d nothing but deletes), log and offset where
-- they begin, and where they end, server; then changes: 's' n, and n times key
-- value rest-of-line (no tags, no expiry); 'e' n rest-of-line, and n times key
-- value, where it is the same; 'p' key value rest-of-line tags expiry; 'd' key;
-- 'c' for a clear.
--
-- {'ok', '1' if there is something to clean}, {'fenced'}: the lease is not
-- ours; {'gap'}: they do not begin where the last ones ended, so that nothing
-- is done twice, or left out; {'foreign'}: somebody else has written since.
-- Then flag c has a call of one transaction, which is done only if nobody has
-- written its keys ({'taken', key}); without changes it is left out.
--
-- The owner's mark is `<log> <offset> <since>`: the version after its last
-- call. With flag c it stays, and behind it comes the version up to which
-- others have written, until the owner has nothing left (lease.lua).
local me, mine, flags, log, off, end_log, end_off, server = unpack(ARGV, 1, 8)
local first_change = 9
include 'lib/store'
include 'lib/layout'
include 'lib/odd'
include 'lib/lost'
if is_lost() then return {'corrupt', missing(M)} end
include 'lib/tags'
include 'lib/record'
include 'lib/rows'
include 'lib/changes'
include 'lib/versions'
include 'lib/lease'
if owner ~= me or token ~= mine or till <= now then return {'fenced'} end

-- A key of the call that somebody else has written after version `since`, and
-- up to `upto`; what came later is ours. A row tells it by its version; a
-- deleted one is in the list of changes, if that goes back so far.
local function taken_key(since, upto)
  local function theirs(v)
    return tonumber(v) > since and tonumber(v) <= upto
  end
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

-- What waits for flush() must be there when its key is changed again.
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

-- A clear of a machine that buffers cannot be taken back here: its rows may be
-- removed at once. m[EXPIRY] must not say that nothing expires when something
-- in this call does.
local soonest = m[EXPIRY]
local function clear()
  settle()
  next_version()
  v = str(ver)
  new_generation(v, 60000)
  feed_note('c', '')
  soonest = ''
  named = {}
end
local function write(key, o, value, rest, tags, exp)
  put(key, o, value, born(o.row, v) .. ' ' .. rest, tags, exp)
end

-- Most changes are of this kind. Where nothing expires and nothing has tags, an
-- old row need not be read before: its age becomes unknown. Whether there is
-- one is guessed to be as with the row before; SET answers with the old row,
-- which tells when the guess is wrong. New rows go into the index in one call.
local mine_new = {}
local function plain(first, last, step, rest)
  local fresh, over = v .. ' ', v .. ' a '
  if rest then fresh, over = fresh .. rest .. '\n', over .. rest .. '\n' end
  local rows, add, k, is_there = B .. 'r:', {K}, 1, true
  local counts, feeds = counted(), feed_on()
  local k_sum, v_sum, s_sum = 0, 0, 0
  -- Values that are stored as they are, by the line of all.
  local as_is = rest and not string.find(rest, ' c', 1, true) and
    string.find('ntb', string.sub(rest, 1, 1), 1, true)
  for j = first, last, step do
    local key, value = ARGV[j], ARGV[j + 1]
    local r, old = rows .. key, over
    if mine_new[key] then old = fresh end
    if counts then
      local bytes, stored = #value, #value
      if not as_is then bytes, stored = sizes(rest or ARGV[j + 2], value) end
      v_sum, s_sum = v_sum + bytes, s_sum + stored
    end
    if not rest then value = ARGV[j + 2] .. '\n' .. value end
    local was = call('SET', r, (is_there and old or fresh) .. value, 'GET')
    if is_there ~= (was and true or false) then
      is_there = not is_there
      if old ~= fresh then
        call('SET', r, (is_there and old or fresh) .. value)
      end
    end
    if not was then
      mine_new[key] = true
      k_sum = k_sum + #key
      add[k + 1], add[k + 2] = '0', key
      k = k + 2
    elseif counts then
      local bytes, stored = sizes_of(was)
      v_sum, s_sum = v_sum - bytes, s_sum - stored
    end
    if feeds then feed_note('p', key) end
  end
  if k > 1 then call('ZADD', unpack(add)) end
  if counts then count_bytes(k_sum, v_sum, s_sum) end
end
local function puts(first, n, step, rest)
  local last = first + step * n - 1
  settle()
  if m[EXPIRY] == '' and call('EXISTS', G) == 0 then
    plain(first, last, step, rest)
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
    if o.row then feed_note('d', key) end
    call('RPUSH', C, v .. ' ' .. key)
    i = i + 2
  else
    clear()
    i = i + 1
  end
end
flush()
-- Rows tell that they were written; only deleted ones are in the list.
-- The last one that was put is, so that a lost index is noticed.
if last_put then call('RPUSH', C, v .. ' ' .. last_put) end
floor = ver
call('HSET', M, 'floor', v)
cut_changes()
if soonest ~= '' and tonumber(soonest) < now then
  sweep(100)
  touched = true
end
note_expiry()
advance()
return {'ok', m[DEAD] or ''}
