-- lease.lua - the right of a machine that buffers to write to the store.
-- {'ok', token, log, offset}: up to where the owner's logs are here; {'leased',
-- who, ms}: somebody else has it. `me` is the owner, `who` that for people.
local what, me, mine, ms, who = unpack(ARGV, 1, 5)
include 'lib/store'
include 'lib/layout'
include 'lib/claims'
include 'lib/lease'
local is_mine = owner == me and token == mine
if what == 'give' then
  if is_mine then
    call('DEL', P .. 'none')
    call('HSET', M, 'lease', owner .. ' ' .. token .. ' 0')
  end
  return {'ok'}
end
if till > now and owner ~= me then
  return {'leased', call('HGET', M, 'leaser') or '', str(till - now)}
end
if till <= now or not is_mine then token = str(tonumber(token) + 1) end
till = now + ms
call('DEL', P .. 'none')
call('HSET', M, 'leaser', who, 'lease', me .. ' ' .. token .. ' ' .. str(till))
hold(till)
local mark = call('HGET', M, 'b:' .. me) or '0 0'
local log, off = string.match(mark, '^(%d+) (%d+)$')
return {'ok', token, log, off}
