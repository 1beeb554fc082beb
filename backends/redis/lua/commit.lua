-- commit.lua - checks what a transaction has read, and changes rows. As a part
-- of a transaction over several shards it only prepares the changes, or with
-- flag i or k only checks.
--
-- Arguments: see lib/request.lua, or the short form below.
--
-- Returns {'ok', version, version before, generation before a clear or false,
-- rows that were there before}, {'conflict', key, 'lost' or nothing},
-- {'claimed', key}, {'locked', key, transaction}, {'late'}, {'again'},
-- {'layout', which}, {'leased', who, ms}, {'gone'} (the commit to undo is not
-- there), {'full', present size in bytes}; for the short form see below. For a
-- part, {'ok'} if it was prepared, {'there'} or {'none'} if it was checked; the
-- same call may be repeated.
local writer, number, deadline, server = unpack(ARGV, 1, 4)
include 'lib/look'
local ARGV = ARGV

-- The short form, a fast path: most commits change one row while the store has
-- no other work. Arguments after `server`: seen, flags ('s', or 'r' if the
-- transaction has read the key), key, value, rest-of-line, and keep and limit
-- if they are not ''. If the conditions below do not hold, the arguments are
-- rewritten to the long form.
-- Versions stay text and only their last two digits are counted up, because
-- numbers are slow here.
--
-- Returns {'ok', version}, followed by the old row if there was one. The
-- version before is one less.
if ARGV[6] == 's' or ARGV[6] == 'r' then
  local seen, flags, key, value, rest, keep, limit = unpack(ARGV, 5, 11)
  local now = T[1] * 1000 + T[2] / 1000
  local n = m[LAST] and m[VER] and m[GEN] and
    string.sub(m[VER], -2) + 1 or 100
  if n < 100 and m[DEAD] == '' and
     m[LAYOUT] == SCRIPT_LAYOUT and m[SERVER] == server and
     not m[FEED] and not keep and
     (seen == '' or seen == m[VER]) and now <= deadline + 0 and
     (m[HELD] == '0' or tonumber(m[HELD]) <= now) and
     (m[EXPIRY] == '' or tonumber(m[EXPIRY]) >= now) and
     string.match(m[LAST], '^%d+') + 0 < number + 0 then
    local b = P .. m[GEN]
    local r = b .. ':r:' .. key
    local old = call('GET', r)
    local v = string.sub(m[VER], 1, -3) .. (n < 10 and '0' .. n or n)
    -- As in lib/record.lua, but only for rows without tags, expiry and codec.
    local was, known, age, kind, at
    if old then
      was, known, age, kind, at = string.match(old,
        '^(%d+) (a?)(%d*) ?([nirtb])%-?%d+ ?u?%-?%d*\n()')
    end
    if was or not old and call('EXISTS', b .. ':keys') == 1 then
      if call('RPUSH', P .. 'changes', v .. ' ' .. key) == 1 then
        -- The list was removed: earlier changes are forgotten.
        call('HSET', M, 'floor', m[VER], 'listed', m[VER])
      end
      local added = old or redis.pcall('ZADD', b .. ':keys', '0', key)
      if type(added) == 'table' then
        call('RPOP', P .. 'changes')
        return added
      end
      local born = ' '
      if old then
        born = ' a '
        if known == '' or age ~= '' then
          born = ' a' .. string.format('%.0f', v - was +
                                               (age == '' and 0 or age)) .. ' '
        end
      end
      call('SET', r, v .. born .. rest .. '\n' .. value)
      -- The sizes that `sum` counts; most rows keep their size.
      local bytes, stored = #value, #value
      local bytes_was = old and #old - at + 1 or 0
      local stored_was = bytes_was
      if m[SUM] and (kind == 'i' or kind == 'r' or
                     string.find(rest, '^[ir]') or
                     string.find(rest, ' c', 1, true)) then
        include 'lib/sizes'
        bytes, stored = sizes(rest, value)
        if old then
          bytes_was, stored_was = sizes_then(kind, '', old, at)
        end
      end
      local done = number .. ' ok ' .. v .. ' ' .. T[1] .. '000'
      local k_sum, v_sum, s_sum
      if not old or bytes ~= bytes_was or stored ~= stored_was then
        k_sum, v_sum, s_sum = string.match(m[SUM] or '', '^(%d+) (%d+) (%d+)$')
      end
      if k_sum then
        if not old then k_sum = string.format('%.0f', k_sum + #key) end
        v_sum, s_sum = v_sum + bytes - bytes_was, s_sum + stored - stored_was
        call('HSET', M, 'ver', v, 'w:' .. writer, done, 'sum',
             k_sum .. string.format(' %.0f %.0f', v_sum, s_sum))
      else
        call('HSET', M, 'ver', v, 'w:' .. writer, done)
      end
      if not old then return {'ok', v} end
      return {'ok', v, old}
    end
  end
  local read = flags == 'r'
  ARGV = {writer, number, deadline, server, seen, '', '', '',
          read and '1' or '0', '0', '1', '', '', '', keep or '', limit or ''}
  if read then ARGV[17] = key end
  for _, x in ipairs({'p', key, value, rest, '', ''}) do
    ARGV[#ARGV + 1] = x
  end
end

include 'lib/record'
include 'lib/state'
include 'lib/once'
include 'lib/names'
include 'lib/request'
include 'lib/layout'
include 'lib/odd'
include 'lib/lost'
if ver == 0 then
  include 'lib/is_lost'
  if is_lost() then return {'corrupt', missing(M)} end
end
include 'lib/changes'
include 'lib/locks'
include 'lib/conflicts'
local checks = string.match(flags, '[ik]')
if checks then
  return {checks == 'i' and call('HEXISTS', I, txn) == 0 and 'none' or 'there'}
end
include 'lib/before'
include 'lib/tags'
include 'lib/rows'
include 'lib/old'
include 'lib/limit'
if txn ~= '' then
  include 'lib/intent'
  return {'ok'}
end
include 'lib/versions'
include 'lib/apply'
include 'lib/done'
return {'ok', v, before, cleared, rows}
