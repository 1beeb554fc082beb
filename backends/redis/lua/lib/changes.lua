-- The list `changes` has `<version> <key>` of the last LOG_MAX changes or so:
-- all that came after `floor`, and all that have deleted a row after `listed`.
local LOG_MAX = 10000
local function cut_changes()
  if call('LLEN', C) <= 1.1 * LOG_MAX then return end
  local last = string.match(call('LINDEX', C, -LOG_MAX - 1), '^%d+')
  if tonumber(last) > floor then call('HSET', M, 'floor', last) end
  call('HSET', M, 'listed', last)
  call('LTRIM', C, -LOG_MAX, -1)
end
-- Whether somebody has removed the list: it ends with the last version, but
-- where `floor` says that nothing is to be found in it.
local function is_cut()
  if floor >= ver then return false end
  local last = call('LINDEX', C, -1)
  return not last or tonumber(string.match(last, '^%d+')) ~= ver
end
