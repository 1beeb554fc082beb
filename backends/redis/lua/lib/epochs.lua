-- The first version is the server's time in microseconds.
--
-- A replica that takes over may lack commits that the old master has made. So
-- that it does not give their versions to others, it begins a new epoch, which
-- leaves out a number of versions that depends on its name. The same goes for
-- each server that has been started anew, for it may have lost data. `server`
-- is the name of the server as the caller knows it; where that is not the one
-- in `meta`, the server is asked.
local function server_name()
  local id = string.match(call('INFO', 'replication'), 'master_replid:(%x+)')
  return id and string.sub(id, 1, 16) or '-'
end
local function begin_epoch(name)
  local chance = tonumber(string.sub(name, 1, 8), 16) or T[2] + 0
  local former = call('HGET', M, 'epochs') or ''
  former = former .. (call('HGET', M, 'since') or '0') .. ' ' .. str(ver) .. ' '
  if #former > 600 then former = string.gsub(former, '^%d+ %d+ ', '') end
  ver = ver + 2^32 + 4 * chance
  m[SERVER] = name
  call('HSET', M, 'server', name, 'since', str(ver), 'epochs', former)
end
-- With the first version come all fields of a store that is new.
local function first_version()
  ver = T[1] * 1000000 + T[2]
  floor = ver
  m[EXPIRY], m[DEAD], m[SERVER] = '', '', server_name()
  m[SUM] = '0 0 0'
  call('HSET', M, 'ver', str(ver), 'gen', '0', 'floor', str(ver),
       'layout', SCRIPT_LAYOUT, 'expiry', '', 'dead', '',
       'server', m[SERVER], 'since', str(ver), 'epochs', '', 'listed', str(ver),
       'sum', m[SUM])
  call('HSETNX', M, 'held', '0')
  call('PERSIST', M)
  call('PERSIST', R)
end
