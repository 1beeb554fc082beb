-- Rows that expire, have tags or were changed lately must be in the index.
local function index_is_lost()
  if call('EXISTS', K) == 1 then return false end
  if call('EXISTS', X, G) > 0 then return true end
  for _, x in ipairs(call('LRANGE', C, -100, -1)) do
    local r = B .. 'r:' .. string.match(x, '^%d+ (.*)$')
    if call('TYPE', r).ok == 'string' then return true end
  end
  return false
end
local function expiry_is_lost()
  return m[EXPIRY] and m[EXPIRY] ~= '' and call('EXISTS', X) == 0
end
