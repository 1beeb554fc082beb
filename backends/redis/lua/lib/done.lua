-- Notes the result of the commit for its writer (fence.lua), and the sums.
local result = number .. ' ok ' .. str(ver) .. ' ' .. str(now)
local new_sum = sum_changed and sum_now()
if new_sum then
  call('HSET', M, 'w:' .. writer, result, 'sum', new_sum)
else
  if sum_changed then call('HDEL', M, 'sum') end
  call('HSET', M, 'w:' .. writer, result)
end
include 'lib/register'
