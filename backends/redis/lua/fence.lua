-- fence.lua - the result of the writer's call with this number. Returns
-- {'applied', version}, or {'void'}: the call was not done, and from now on it
-- is refused.
local writer, number = ARGV[1], ARGV[2]
include 'lib/look'
include 'lib/state'
include 'lib/names'
if m[LAST] then
  local n, how, v = string.match(m[LAST], '^(%d+) (%a+) (%d+) %d+$')
  if n == number and how == 'ok' then
    -- WAIT waits for replicas only after a write of this connection.
    call('DEL', P .. 'none')
    call('HSET', M, 'w:' .. writer, m[LAST])
    return {'applied', v}
  end
end
if not m[LAST] then call('ZCARD', R) end
call('DEL', P .. 'none')
call('HSET', M, 'w:' .. writer, number .. ' void 0 ' .. str(now))
include 'lib/register'
return {'void'}
