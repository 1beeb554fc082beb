-- True if version v belongs to this history of the store, not to a server that
-- was replaced by one without its last commits.
local function in_history(v)
  if v >= tonumber(call('HGET', M, 'since') or 0) then return v <= ver end
  for first, last in string.gmatch(call('HGET', M, 'epochs') or '',
                                   '(%d+) (%d+) ') do
    if v >= tonumber(first) and v <= tonumber(last) then return true end
  end
  return false
end
