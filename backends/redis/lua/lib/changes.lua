-- The list `changes` has `<version> <key>` of about the last LOG_MAX changes:
-- all changes after version `floor`, and all deletions after version `listed`.
local LOG_MAX = 10000
-- True if the list was removed: its last entry is not of the last version,
-- although `floor` is below that.
local function is_cut()
  if floor >= ver then return false end
  local last = call('LINDEX', C, -1)
  return not last or tonumber(string.match(last, '^%d+')) ~= ver
end
