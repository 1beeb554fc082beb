-- Removes the entries of rows that the server has expired.
local function sweep(most)
  local gone = call('ZRANGEBYSCORE', X, '-inf', '(' .. str(now),
                    'LIMIT', 0, most)
  for _, key in ipairs(gone) do
    local tags = redis.pcall('HGET', E, key)
    drop(key, {exp = true, tags = type(tags) == 'string' and tags or ''})
    if feed then feed_note('x', key) end
  end
  return #gone
end
