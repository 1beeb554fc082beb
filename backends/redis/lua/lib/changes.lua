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
-- Keys that were changed after version `seq`, by a version that `counts`.
local function changes_since(seq, counts)
  local keys, last = {}, -1
  while true do
    local list = call('LRANGE', C, last - 99, last)
    for i = #list, 1, -1 do
      local v, key = string.match(list[i], '^(%d+) (.*)$')
      if tonumber(v) <= seq then return keys end
      if key ~= NO_KEY and counts(v) then keys[key] = true end
    end
    if #list < 100 then return keys end
    last = last - 100
  end
end
