-- lease.lua - the right of a machine that buffers to write to the store.
--
-- me   the owner
-- who  the owner's name for error messages
-- new  '' if the owner has committed nothing yet
-- what:
--   take  takes or renews the lease. If `new` is '' and the owner has no mark,
--         what is in the store does not count as written since
--   sync  the owner has seen all commits and has nothing to send: sets its mark
--   give  gives the lease up
--
-- Returns {'ok', token, log, offset, '1' or ''}: how far the owner's logs are
-- applied, and whether another client has written since; {'leased', who, ms}:
-- another owner has the lease; {'fenced'}.
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
