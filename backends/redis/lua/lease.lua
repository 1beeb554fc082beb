-- lease.lua - the right of a machine that buffers to write to the store.
-- `what`:
--
--   take  takes or keeps it. `new` is '' where the owner has committed nothing
--         yet: then what is there by now is not news to it
--   sync  it has what is there by now, and nothing to send
--   give  gives it up
--
-- {'ok', token, log, offset, '1' or ''}: up to where the owner's logs are here,
-- and whether somebody else has written since; {'leased', who, ms}: somebody
-- else has it. `me` is the owner, `who` that for people.
local what, me, mine, ms, who, new = unpack(ARGV, 1, 6)
include 'lib/store'
include 'lib/layout'
include 'lib/hold'
include 'lib/lease'
local is_mine = owner == me and token == mine
local mark = call('HGET', M, 'b:' .. me)
local log, off, since = string.match(mark or '0 0 0', '^(%d+) (%d+) (%d+)')
call('DEL', P .. 'none')
if what == 'give' then
  if is_mine then
    call('HSET', M, 'lease', owner .. ' ' .. token .. ' 0')
  end
  return {'ok'}
end
if till > now and owner ~= me then
  return {'leased', call('HGET', M, 'leaser') or '', str(till - now)}
end
if what == 'sync' and not is_mine then return {'fenced'} end
if till <= now or not is_mine then token = str(tonumber(token) + 1) end
till = now + ms
if what == 'sync' or (not mark and new == '') then
  since = str(ver)
  call('HSET', M, 'b:' .. me, log .. ' ' .. off .. ' ' .. since)
end
call('HSET', M, 'leaser', who, 'lease', me .. ' ' .. token .. ' ' .. str(till))
hold(till)
return {'ok', token, log, off, since ~= str(ver) and '1' or ''}
