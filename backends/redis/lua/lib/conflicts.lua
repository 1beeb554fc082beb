-- Whether what a transaction has read has changed since `seen`, the version
-- that it saw; nil: it has read nothing.
--
-- `reads` are keys, `ranges` lo and hi by turns ('' = open), both from an index
-- of ARGV on. A key that has a row has changed when that is younger than the
-- view; one that has none, when the list of changes says so. For views older
-- than the list it may have been deleted. A view of version 0 saw an empty
-- store; one of another history has seen what is not here. `own`: versions that
-- do not count, with a comma around each.
local function after(s)
  return tonumber(s) > seen and not string.find(own, ',' .. s .. ',', 1, true)
end
local recent
local function changed(key)
  local meta = call('HGET', B .. 'r:' .. key, 'meta')
  if meta then return after(string.match(meta, '^%d+')) end
  if ver == 0 or seen < floor then return seen > 0 end
  recent = recent or changes_since(seen, after)
  return recent[key]
end
local function in_range(key, from, to)
  for i = from, to, 2 do
    local lo, hi = ARGV[i], ARGV[i + 1]
    if not lt(key, lo) and (hi == '' or lt(key, hi)) then return true end
  end
end
local function range_changed(from, to)
  if ver == 0 or seen < floor then return '' end
  recent = recent or changes_since(seen, after)
  local most = 2000000
  for key in pairs(recent) do
    most = most - (to - from + 1) / 2
    if most < 0 then return '' end
    if in_range(key, from, to) then return key end
  end
end
-- In a shard: what was read may be about to change, by a commit that has begun
-- in another one and holds locks (lock.lua) on what it changes.
local function locked_read()
  local all, read = call('HGETALL', L), {}
  local every = all_read or #all * (changes - ranges) > 2000000
  for i = reads, ranges - 1 do read[ARGV[i]] = true end
  for j = 1, #all, 2 do
    local key = all[j]
    local other, token = foreign(all[j + 1], claim)
    if other and string.sub(token, 1, 1) == 'c' and
       (every or key == '' or read[key] or
        in_range(key, ranges, changes - 1)) then
      return key
    end
  end
end

if seen and ver ~= seen then
  if seen > 0 and not in_history(seen) then return {'conflict', '', 'lost'} end
  if all_read then return {'conflict', ''} end
  for i = reads, ranges - 1 do
    if changed(ARGV[i]) then return {'conflict', ARGV[i]} end
  end
  if changes > ranges then
    local key = range_changed(ranges, changes - 1)
    if key then return {'conflict', key} end
  end
end
local is_held = tonumber(m[HELD] or 0) > now
if is_held and string.find(P, '/', 1, true) then
  local key = seen and locked_read()
  if not key and foreign(call('HGET', L, ''), claim) then key = '' end
  if key then return {'claimed', key} end
end
