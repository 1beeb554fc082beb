-- commit.lua - checks what a transaction has read, and changes rows.
--
-- Arguments: lib/request.lua, or those of the short form below.
--
-- Answers {'ok', version, version before, generation before a clear or false,
-- rows that were there before}, {'conflict', key, 'lost' or nothing},
-- {'claimed', key}, {'locked', key, transaction}, {'late'}, {'again'},
-- {'layout', which}, {'leased', who, ms}, {'gone'} (what was to be taken back),
-- {'full', bytes that there are};
-- or as the short form does.
local writer, number, deadline, server = unpack(ARGV, 1, 4)
include 'lib/look'
include 'lib/record'
local ARGV = ARGV

-- The short form: most commits are of one row, and nothing else is to be done
-- meanwhile. They have flags s, or r when they have read their key, and behind
-- them only key, value and rest-of-line, and keep and limit where these are not
-- ''. What this cannot do goes the long way.
-- Versions stay text, of which the last digits are counted up: numbers are slow
-- here.
--
-- Answers {'ok', version}, and where a row was, that row behind it. The version
-- before is one less.
if ARGV[6] == 's' or ARGV[6] == 'r' then
  local seen, flags, key, value, rest, keep, limit = unpack(ARGV, 5, 11)
  local now = T[1] * 1000 + T[2] / 1000
  local n = m[LAST] and m[VER] and m[GEN] and
    string.sub(m[VER], -6) + 1 or 0
  if n % 64 ~= 0 and n < 1000000 and m[DEAD] == '' and
     m[LAYOUT] == SCRIPT_LAYOUT and m[SERVER] == server and
     not m[FEED] and not keep and
     (seen == '' or seen == m[VER]) and now <= deadline + 0 and
     (m[HELD] == '0' or tonumber(m[HELD]) <= now) and
     (m[EXPIRY] == '' or tonumber(m[EXPIRY]) >= now) and
     string.match(m[LAST], '^%d+') + 0 < number + 0 then
    local b = P .. m[GEN]
    local r = b .. ':r:' .. key
    local old = call('GET', r)
    local v = string.sub(m[VER], 1, -7) .. string.format('%06d', n)
    -- Without tags and expiry: only those two have these in the line.
    local line = not old or string.match(old, '^[%w %-]+\n')
    if line and (not old or m[EXPIRY] == '' or
                 not string.find(line, ' e', 1, true)) and
       (old or call('EXISTS', b .. ':keys') == 1) then
      if call('RPUSH', P .. 'changes', v .. ' ' .. key) == 1 then
        -- What was in it before is forgotten.
        call('HSET', M, 'floor', m[VER], 'listed', m[VER])
      end
      local added = old or redis.pcall('ZADD', b .. ':keys', '0', key)
      if type(added) == 'table' then
        call('RPOP', P .. 'changes')
        return added
      end
      call('SET', r, born(old, v) .. ' ' .. rest .. '\n' .. value)
      local done = number .. ' ok ' .. v .. ' ' .. T[1] .. '000'
      local sum = sum_of(m[SUM])
      if sum then
        local bytes, stored = sizes(rest, value)
        local was, was_stored = 0, 0
        if old then was, was_stored = sizes_of(old) end
        call('HSET', M, 'ver', v, 'w:' .. writer, done, 'sum',
             sum_text(sum[1] + (old and 0 or #key), sum[2] + bytes - was,
                      sum[3] + stored - was_stored))
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

include 'lib/state'
include 'lib/once'
include 'lib/names'
include 'lib/request'
include 'lib/layout'
include 'lib/odd'
include 'lib/lost'
if is_lost() then return {'corrupt', missing(M)} end
include 'lib/less'
include 'lib/claims'
include 'lib/changes'
include 'lib/history'
include 'lib/locks'
include 'lib/conflicts'
include 'lib/before'
include 'lib/tags'
include 'lib/rows'
include 'lib/old'
include 'lib/limit'
include 'lib/versions'
include 'lib/writers'
include 'lib/remove'
include 'lib/apply'
done()
return {'ok', v, before, cleared, rows}
