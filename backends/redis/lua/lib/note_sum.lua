-- Notes the sums where they have changed.
if sum_changed then
  local text = sum_now()
  if text then call('HSET', M, 'sum', text) else call('HDEL', M, 'sum') end
end
