-- Clearing, and undoing a clear.
--
-- Keeps the sums of the generation that ends, for when it is restored.
local function switch_sum(text)
  if sum then
    call('HSET', M, 'sum:' .. gen, sum_text(sum[1], sum[2], sum[3]))
  end
  m[SUM], sum, sum_changed = text, sum_of(text) or false, true
end
-- Begins a new generation, without rows. The rows of the old one may be removed
-- from `age` ms before now on.
local function new_generation(v, age)
  call('ZADD', D, now - age, gen)
  call('HSET', M, 'gen', v, 'layout', SCRIPT_LAYOUT, 'expiry', '', 'dead', '1')
  call('HSETNX', M, 'held', '0')
  m[EXPIRY], m[DEAD] = '', '1'
  switch_sum('0 0 0')
  generation(v)
end
-- Returns to generation g, of which nothing has been removed yet.
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
