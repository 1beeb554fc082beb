-- A writer's last result is kept for at least an hour; a writer asks for it
-- within seconds. `writers` has the names of the writers with a result.
if not m[LAST] then
  call('ZADD', R, now, writer)
  local old = call('ZRANGEBYSCORE', R, '-inf', str(now - 3600000),
                   'LIMIT', 0, 5)
  for _, name in ipairs(old) do
    local s = call('HGET', M, 'w:' .. name)
    local last = s and tonumber(string.match(s, '(%d+)$')) or 0
    if last < now - 3600000 then
      call('HDEL', M, 'w:' .. name)
      call('ZREM', R, name)
    else
      call('ZADD', R, last, name)
    end
  end
end
