-- A commit has a version, one more than the one before. The first one is the
-- server's time in microseconds.
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
  former = former .. (m[SINCE] or '0') .. ' ' .. str(ver) .. ' '
  if #former > 600 then former = string.gsub(former, '^%d+ %d+ ', '') end
  ver = ver + 2^32 + 4 * chance
  m[SERVER], m[SINCE] = name, str(ver)
  call('HSET', M, 'server', name, 'since', m[SINCE], 'epochs', former)
end
-- With the first version come all fields of a store that is new.
local function first_version()
  ver = T[1] * 1000000 + T[2]
  floor = ver
  m[EXPIRY], m[DEAD], m[SERVER], m[SINCE] = '', '', server_name(), str(ver)
  m[SUM] = '0 0 0'
  call('HSET', M, 'ver', str(ver), 'gen', '0', 'floor', str(ver),
       'layout', SCRIPT_LAYOUT, 'expiry', '', 'dead', '',
       'server', m[SERVER], 'since', str(ver), 'epochs', '', 'listed', str(ver),
       'sum', m[SUM])
  call('HSETNX', M, 'held', '0')
  call('PERSIST', M)
  call('PERSIST', R)
end
local function next_version()
  if ver == 0 then
    first_version()
    return
  end
  local name = m[SERVER] == server and server or server_name()
  if m[SERVER] == name then
    ver = ver + 1
  else
    begin_epoch(name)
  end
  call('HSET', M, 'ver', str(ver))
end
local function forget_changes()
  floor = ver
  call('HSET', M, 'floor', str(ver), 'listed', str(ver))
  call('DEL', C)
end
-- The sums of the generation that was wait for whoever restores it.
local function switch_sum(text)
  if counted() then
    call('HSET', M, 'sum:' .. gen, sum_text(sum[1], sum[2], sum[3]))
  end
  m[SUM], sum, sum_changed = text, sum_of(text) or false, true
end
-- A new generation: the rows of the one before are no more there, and are
-- removed from `age` ms before now on.
local function new_generation(v, age)
  call('ZADD', D, now - age, gen)
  call('HSET', M, 'gen', v, 'layout', SCRIPT_LAYOUT, 'expiry', '', 'dead', '1')
  call('HSETNX', M, 'held', '0')
  m[EXPIRY], m[DEAD] = '', '1'
  switch_sum('0 0 0')
  generation(v)
end
-- The generation before that, if nothing of it has been removed yet.
local function old_generation(g)
  call('HSET', M, 'gen', g)
  call('ZREM', D, g)
  call('ZADD', D, now - 60000, gen)
  local was = call('HGET', M, 'sum:' .. g)
  call('HDEL', M, 'sum:' .. g)
  switch_sum(was)
  generation(g)
  touched = true
end
