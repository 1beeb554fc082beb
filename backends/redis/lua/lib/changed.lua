-- changed(key) and range_changed(): has what the transaction has read been
-- changed since `seen`, the version of its view? (`seen` is nil: it has read
-- nothing.)
--
-- A key with a row has changed if the row's version is above `seen`; a key
-- without one, if the list of changes has it. For a view older than the list,
-- the key may have been deleted, so it counts as changed. A view of version 0
-- saw an empty store.
include 'lib/history'
include 'lib/changes_since'
include 'lib/ranges'
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
