-- The first version is the server's time in microseconds.
--
-- A replica that takes over may lack commits of the old master. To never assign
-- their versions again, it begins a new epoch, which skips a number of versions
-- that depends on the server's name. A server that was restarted does the same,
-- as it may have lost data. `server` is the caller's value for the server's
-- name; if it differs from the one in `meta`, the script reads the name by
-- INFO.
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
-- Creates all fields of a new store.
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
