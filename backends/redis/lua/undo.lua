-- undo.lua - takes a commit back, if nobody has changed its keys since.
--
-- Arguments, behind writer, number, deadline and server: the version to take
-- back, the generation before its clear or '', how many changes; each: 'p' or
-- 'd', key, '1' and meta, value, tags, expiry of the row before, or '0'.
--
-- Answers {'ok', version, version before} or {'changed', key}: somebody has
-- changed that key since, and nothing is taken back; {'gone'}: this server has
-- taken over without the commit. The rows come back under a new version, for
-- others may have decided on what is taken back now.
local writer, number, deadline, server = unpack(ARGV, 1, 4)
local version, cleared, n = unpack(ARGV, 5, 7)
include 'lib/look'
include 'lib/state'
include 'lib/once'
include 'lib/names'
include 'lib/layout'
include 'lib/tags'
include 'lib/rows'
include 'lib/changes'
include 'lib/history'
include 'lib/versions'
include 'lib/writers'

local mine = tonumber(version)
if not in_history(mine) then return {'gone'} end
local before = str(ver)
if cleared ~= '' then
  if m[VER] ~= version or not call('ZSCORE', D, cleared) then
    return {'changed', ''}
  end
  call('DEL', P .. 'none')
  next_version()
  call('HSET', M, 'gen', cleared)
  call('ZREM', D, cleared)
  call('ZADD', D, now - 60000, gen)
  generation(cleared)
  touched = true
  note_expiry()
  forget_changes()
  done()
  return {'ok', str(ver), before}
end

local there, i = {}, 8
types()
local known = floor <= mine
local changed = known and changes_since(mine, function() return true end) or {}
for c = 1, tonumber(n) do
  local op, key, was = ARGV[i], ARGV[i + 1], ARGV[i + 2] == '1'
  there[c] = present(key, was and ARGV[i + 5] or '')
  local meta = there[c].row and there[c].row[1]
  local same = not changed[key] and (known or op == 'd')
  if meta then same = tonumber(string.match(meta, '^%d+')) == mine end
  if ver == 0 or not same then return {'changed', key} end
  i = i + (was and 7 or 3)
end
call('DEL', P .. 'none')
next_version()
local logged = tonumber(n) <= LOG_MAX
if not logged then forget_changes() end
i = 8
for c = 1, tonumber(n) do
  local key = ARGV[i + 1]
  if ARGV[i + 2] == '1' then
    local meta = string.gsub(ARGV[i + 3], '^%d+', str(ver))
    put(key, there[c], ARGV[i + 4], meta, ARGV[i + 5], ARGV[i + 6])
    i = i + 7
  else
    drop(key, there[c])
    i = i + 3
  end
  if logged then call('RPUSH', C, str(ver) .. ' ' .. key) end
end
flush()
note_expiry()
done()
return {'ok', str(ver), before}
