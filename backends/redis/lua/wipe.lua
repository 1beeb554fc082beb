-- wipe.lua - removes the store's other keys when the rows are removed. Returns
-- {'more'} if there are new rows. The writers' results stay for an hour, as
-- always (lib/register.lua).
include 'lib/store'
if call('ZCARD', K) > 0 then return {'more'} end
call('UNLINK', K, X, G, E, Z, C, L, D, F, P .. 'locks', P .. 'intents',
     P .. 'decided')
call('HDEL', M, 'ver', 'gen', 'floor', 'layout', 'expiry', 'held', 'dead',
     'lease', 'leaser', 'server', 'since', 'epochs', 'listed', 'sum', 'feed')
call('PEXPIRE', M, 3600000)
call('PEXPIRE', R, 3600000)
return {'ok'}
