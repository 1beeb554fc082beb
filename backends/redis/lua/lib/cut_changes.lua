-- Cuts the list `changes` when it is too long.
local function cut_changes()
  if call('LLEN', C) <= 1.1 * LOG_MAX then return end
  local last = string.match(call('LINDEX', C, -LOG_MAX - 1), '^%d+')
  if tonumber(last) > floor then call('HSET', M, 'floor', last) end
  call('HSET', M, 'listed', last)
  call('LTRIM', C, -LOG_MAX, -1)
end
