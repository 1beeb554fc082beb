-- wipe.lua - removes what is left when the rows are gone; {'more'}: there are
-- new ones. What writers did last stays for an hour, as it always does.
include 'lib/store'
if call('ZCARD', K) > 0 then return {'more'} end
call('UNLINK', K, X, G, E, Z, C, L, D, F, P .. 'locks', P .. 'intents',
     P .. 'decided')
call('HDEL', M, 'ver', 'gen', 'floor', 'layout', 'expiry', 'held', 'dead',
     'lease', 'leaser', 'server', 'since', 'epochs', 'listed', 'sum', 'feed')
call('PEXPIRE', M, 3600000)
call('PEXPIRE', R, 3600000)
return {'ok'}
