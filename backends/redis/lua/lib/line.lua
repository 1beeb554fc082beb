-- The line of a row, without its value; '' if there is no row.
local function line_of(key)
  local most = 256
  while true do
    local s = call('GETRANGE', B .. 'r:' .. key, 0, most - 1)
    local feed = string.find(s, '\n', 1, true)
    if feed then return string.sub(s, 1, feed - 1) end
    if #s < most then return s end
    most = 16 * most
  end
end
