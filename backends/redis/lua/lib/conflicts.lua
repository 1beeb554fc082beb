-- Whether what a transaction has read has changed since `seen`, the version
-- that it saw; nil: it has read nothing.
--
-- A key that has a row has changed when that is younger than the view; one that
-- has none, when the list of changes says so. For views older than the list it
-- may have been deleted. A view of version 0 saw an empty store; one of another
-- history has seen what is not here.
local function after(s)
  return tonumber(s) > seen and not string.find(own, ',' .. s .. ',', 1, true)
end
local recent
local function is_old() return ver == 0 or seen < floor or is_cut() end
local function changed(key)
  local v = string.match(call('GETRANGE', B .. 'r:' .. key, 0, 16), '^%d+')
  if v then return after(v) end
  if is_old() then return seen > 0 end
  recent = recent or changes_since(seen, after)
  return recent[key]
end
local function in_ranges(key)
  for i = ranges, changes - 1, 2 do
    local lo, hi = ARGV[i], ARGV[i + 1]
    if not lt(key, lo) and (hi == '' or lt(key, hi)) then return true end
  end
end
local function range_changed()
  if is_old() then return '' end
  recent = recent or changes_since(seen, after)
  local most = 2000000
  for key in pairs(recent) do
    most = most - (changes - ranges) / 2
    if most < 0 then return '' end
    if in_ranges(key) then return key end
  end
end
-- In a shard: what was read may be about to change, by a transaction that has
-- begun in another one.
local function locked_read()
  local id = locked('')
  if id then return '', id end
  for i = reads, seen and ranges - 1 or 0 do
    id = locked(ARGV[i])
    if id then return ARGV[i], id end
  end
  if not seen or (ranges == changes and not all_read) then return end
  return find_locked(function(key, size)
    return all_read or size * (changes - ranges) > 4000000 or in_ranges(key)
  end)
end

local undo = string.find(flags, 'u')
if seen and ver ~= seen then
  if seen > 0 and not in_history(seen) then
    return {undo and 'gone' or 'conflict', '', 'lost'}
  end
  if all_read or restore ~= '' then return {'conflict', ''} end
  for i = reads, ranges - 1 do
    if changed(ARGV[i]) then return {'conflict', ARGV[i]} end
  end
  if changes > ranges then
    local key = range_changed()
    if key then return {'conflict', key} end
  end
end
if restore ~= '' and not call('ZSCORE', D, restore) then
  return {'conflict', ''}
end
local key, id = locked_read()
if id then return {'locked', key, id} end
