-- Whether a version was given by this history of the store: not by a server
-- that another one has replaced without its last commits.
local function in_history(v)
  if v >= tonumber(call('HGET', M, 'since') or 0) then return v <= ver end
  for first, last in string.gmatch(call('HGET', M, 'epochs') or '',
                                   '(%d+) (%d+) ') do
    if v >= tonumber(first) and v <= tonumber(last) then return true end
  end
  return false
end
