-- claim.lua - claims a key: for at most `ms`, other writers wait before they
-- change it. Returns {'ok', version, generation, row}, {'held'} or {'locked',
-- key, transaction}.
local token, key, ms = unpack(ARGV, 1, 3)
include 'lib/store'
include 'lib/layout'
include 'lib/odd'
include 'lib/is_lost'
if is_lost() then return {'corrupt', missing(M)} end
include 'lib/claims'
include 'lib/hold'
local txn
include 'lib/locks'
local id = locked('') or locked(key)
if id then return {'locked', key, id} end
if foreign(call('HGET', L, key), token) then return {'held'} end
local row = call('GET', B .. 'r:' .. key)
local till = now + ms
call('HSET', L, key, token .. ' ' .. str(till))
call('PEXPIRE', L, 60000)
hold(till)
return {'ok', m[VER] or '', gen, row}
