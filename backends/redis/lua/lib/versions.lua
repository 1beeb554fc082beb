-- A commit has a version: one more than the one before. The first one is the
-- server's time in microseconds, so that a server that has lost its data does
-- not give a version twice. With it come all fields of a store that is new.
local function next_version()
  if ver == 0 then
    ver = T[1] * 1000000 + T[2]
    floor = ver
    call('HSET', M, 'ver', str(ver), 'gen', '0', 'floor', str(ver),
         'layout', SCRIPT_LAYOUT, 'expiry', '', 'dead', '')
    call('HSETNX', M, 'held', '0')
    call('PERSIST', M)
    call('PERSIST', R)
    m[EXPIRY], m[DEAD] = '', ''
  else
    ver = ver + 1
    call('HSET', M, 'ver', str(ver))
  end
end
local function forget_changes()
  floor = ver
  call('HSET', M, 'floor', str(ver))
  call('DEL', C)
end
-- A new generation: the rows of the one before are no more there, and are
-- removed from `age` ms before now on.
local function new_generation(v, age)
  call('ZADD', D, now - age, gen)
  call('HSET', M, 'gen', v, 'layout', SCRIPT_LAYOUT, 'expiry', '', 'dead', '1')
  m[EXPIRY], m[DEAD] = '', '1'
  generation(v)
end
