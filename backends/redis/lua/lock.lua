-- lock.lua - locks keys for a commit over several shards, all of them or none;
-- the key '' stands for all. {'ok'} or {'held', key}.
--
-- A lock is a claim whose token begins with c: who would change such a key
-- waits, and so does who has read it and commits. A full server locks, too:
-- rows may be deleted there.
local token, claim, claimed, ms = unpack(ARGV, 1, 4) -- and behind them, keys
include 'lib/store'
if ver == 0 then return {'layout', SCRIPT_NO_LAYOUT} end
include 'lib/layout'
include 'lib/claims'
local is_held = tonumber(m[HELD] or 0) > now
local function other(h)
  local is, theirs = foreign(h, token)
  return is and theirs ~= claim
end
if is_held and other(call('HGET', L, '')) then return {'held', ''} end
if is_held and ARGV[5] == '' then
  local all = call('HGETALL', L)
  for i = 1, #all, 2 do
    if other(all[i + 1]) then return {'held', all[i]} end
  end
end
for i = 5, is_held and #ARGV or 0 do
  if other(call('HGET', L, ARGV[i])) then return {'held', ARGV[i]} end
end
call('DEL', P .. 'none')
local till = now + ms
for i = 5, #ARGV do call('HSET', L, ARGV[i], token .. ' ' .. str(till)) end
call('PEXPIRE', L, 60000)
hold(till)
return {'ok'}
