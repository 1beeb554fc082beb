-- Removes some of a generation that was cleared; returns 0 at its end.
local function remove(g, most)
  local b = P .. g .. ':'
  local keys = call('ZPOPMIN', b .. 'keys', most)
  for j = 1, #keys, 2 do call('UNLINK', b .. 'r:' .. keys[j]) end
  if #keys > 0 then return #keys / 2 end
  local tags = call('ZPOPMIN', b .. 'tags', most)
  for j = 1, #tags, 2 do call('UNLINK', b .. 't:' .. tags[j]) end
  if #tags > 0 then return #tags / 2 end
  call('UNLINK', b .. 'expiry', b .. 'xtags', b .. 'xsizes')
  call('HDEL', M, 'sum:' .. g)
  call('ZREM', D, g)
  if call('EXISTS', D) == 0 then call('HSET', M, 'dead', '') end
  return 0
end
