-- commit.lua - checks what a transaction has read, and changes rows.
--
-- Arguments: lib/request.lua, or those of the short form below.
--
-- Answers {'ok', version, version before, generation before a clear or false,
-- rows that were there before}, {'conflict', key, 'lost' or nothing},
-- {'claimed', key}, {'late'}, {'again'}, {'layout', which}, {'leased', who,
-- ms}; or as the short form does.
local writer, number, deadline, server = unpack(ARGV, 1, 4)
include 'lib/look'
local ARGV = ARGV

-- The short form: most commits are of one row, and nothing else is to be done
-- meanwhile. They have flags s, or r when they have read their key, and behind
-- them only key, value and rest-of-meta. What this cannot do goes the long way.
-- Versions stay text, of which the last digits are counted up: numbers are slow
-- here.
--
-- Answers {'ok', version}, and where a row was, its meta and value behind it.
-- The version before is one less.
if ARGV[6] == 's' or ARGV[6] == 'r' then
  local seen, flags, key, value, rest = unpack(ARGV, 5, 9)
  local now = T[1] * 1000 + T[2] / 1000
  local n = m[LAST] and string.sub(m[VER], -6) + 1 or 0
  if n % 64 ~= 0 and n < 1000000 and m[DEAD] == '' and
     m[LAYOUT] == SCRIPT_LAYOUT and m[SERVER] == server and
     (seen == '' or seen == m[VER]) and now <= deadline + 0 and
     (m[HELD] == '0' or tonumber(m[HELD]) <= now) and
     (m[EXPIRY] == '' or tonumber(m[EXPIRY]) >= now) and
     string.match(m[LAST], '^%d+') + 0 < number + 0 then
    local b = P .. m[GEN]
    local r = b .. ':r:' .. key
    local old = call('HMGET', r, 'meta', 'value', 'tags')
    local v = string.sub(m[VER], 1, -7) .. string.format('%06d', n)
    local new = v
    if old[1] then
      new = not old[3] and string.match(old[1], m[EXPIRY] == '' and
        ' (%d+) ' or '^%d+ (%d+) %a %-?%d+ %-?%d+ %- ')
    end
    if new then
      call('RPUSH', P .. 'changes', v .. ' ' .. key)
      if not old[1] then call('ZADD', b .. ':keys', '0', key) end
      call('HSET', r, 'value', value, 'meta', v .. ' ' .. new .. ' ' .. rest)
      call('HSET', M, 'ver', v, 'w:' .. writer,
           number .. ' ok ' .. v .. ' ' .. T[1] .. '000')
      if not old[1] then return {'ok', v} end
      return {'ok', v, old[1], old[2]}
    end
  end
  local read = flags == 'r'
  ARGV = {writer, number, deadline, server, seen, '', '', '',
          read and '1' or '0', '0', '1', ''}
  if read then ARGV[13] = key end
  for _, x in ipairs({'p', key, value, rest, '', ''}) do
    ARGV[#ARGV + 1] = x
  end
end

include 'lib/state'
include 'lib/once'
include 'lib/names'
include 'lib/request'
include 'lib/layout'
include 'lib/less'
include 'lib/claims'
include 'lib/changes'
include 'lib/history'
include 'lib/conflicts'
include 'lib/tags'
include 'lib/rows'
include 'lib/versions'
include 'lib/writers'
include 'lib/remove'

-- The rows that will be overwritten, and whether others have claimed them.
local old = {}
if is_held then
  include 'lib/lease'
  if till > now then
    return {'leased', call('HGET', M, 'leaser') or '', str(till - now)}
  end
  if clear then
    local all = call('HGETALL', L)
    for j = 1, #all, 2 do
      if foreign(all[j + 1], claim) then return {'claimed', all[j]} end
    end
  end
end
local i = changes
for c = 1, n do
  local key, more = ARGV[i + 1], ARGV[i] == 'p'
  local h = is_held and call('HGET', L, key)
  if h and foreign(h, claim) then return {'claimed', key} end
  local tags = more and ARGV[i + 4] or ''
  if clear then
    old[c] = {row = false, tags = ''}
    types_of(tags)
  else
    old[c] = present(key, tags)
  end
  i = i + (more and 6 or 2)
end
types()
call('ZCARD', R)
call('ZCARD', D)

-- Deleting must be possible when the server is full: a write that is always
-- allowed comes first, after which the server lets a script finish.
if string.find(flags, 'd') then call('DEL', P .. 'none') end
local before = str(ver)
next_version()
local v = str(ver)
local cleared = false
if clear then
  cleared = gen
  new_generation(v, 0)
end
local logged = n <= LOG_MAX
if clear or not logged then forget_changes() end
local rows = {}
i = changes
for c = 1, n do
  local key, o = ARGV[i + 1], old[c]
  if ARGV[i] == 'p' then
    local new = o.row and string.match(o.row[1], '^%d+ (%d+) ') or v
    put(key, o, ARGV[i + 2], v .. ' ' .. new .. ' ' .. ARGV[i + 3],
        ARGV[i + 4], ARGV[i + 5])
    i = i + 6
  else
    drop(key, o)
    i = i + 2
  end
  rows[c] = o.row
  if logged then call('RPUSH', C, v .. ' ' .. key) end
end
flush()

-- Housekeeping, a little with every commit: the list of changes is cut, what
-- the server has expired is taken out of index and tags, and what an old clear
-- left behind is removed.
if (n > 16 or ver % 64 == 0) and not clear and logged and
   call('LLEN', C) > 1.1 * LOG_MAX then
  local last = call('LINDEX', C, -LOG_MAX - 1)
  call('HSET', M, 'floor', string.match(last, '^%d+'))
  call('LTRIM', C, -LOG_MAX, -1)
end
if m[EXPIRY] ~= '' and tonumber(m[EXPIRY]) < now then sweep(10) end
note_expiry()
if m[DEAD] ~= '' then
  local dead = call('ZRANGEBYSCORE', D, '-inf', str(now - 60000),
                    'LIMIT', 0, 1)[1]
  if dead then remove(dead, 50) end
end
if claimed ~= '' then release(claimed) end
done()
return {'ok', v, before, cleared, rows}
