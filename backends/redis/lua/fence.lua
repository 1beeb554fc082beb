-- fence.lua - what became of a writer's call of this number. {'applied',
-- version}; or {'void'}: it was not done, and never will be.
local writer, number = ARGV[1], ARGV[2]
include 'lib/look'
include 'lib/state'
include 'lib/names'
if m[LAST] then
  local n, how, v = string.match(m[LAST], '^(%d+) (%a+) (%d+) %d+$')
  if n == number and how == 'ok' then
    -- WAIT waits for replicas only behind a write.
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
