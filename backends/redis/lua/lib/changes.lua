-- The list `changes` has `<version> <key>` of about the last LOG_MAX changes:
-- all changes after version `floor`, and all deletions after version `listed`.
local LOG_MAX = 10000
local function cut_changes()
  if call('LLEN', C) <= 1.1 * LOG_MAX then return end
  local last = string.match(call('LINDEX', C, -LOG_MAX - 1), '^%d+')
  if tonumber(last) > floor then call('HSET', M, 'floor', last) end
  call('HSET', M, 'listed', last)
  call('LTRIM', C, -LOG_MAX, -1)
end
-- True if the list was removed: its last entry is not of the last version,
-- although `floor` is below that.
local function is_cut()
  if floor >= ver then return false end
  local last = call('LINDEX', C, -1)
  return not last or tonumber(string.match(last, '^%d+')) ~= ver
end
