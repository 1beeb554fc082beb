-- mark.lua - the layout that says how many shards a store has (shards_mark.c).
-- `stays` is left as it is; `from` and `also` are replaced by `to`, as is none;
-- '' = by none. {'ok', layout before or '', version of what was made or false}.
local server, stays, from, also, to = unpack(ARGV, 1, 5)
include 'lib/store'
include 'lib/sizes'
include 'lib/sums'
include 'lib/versions'
local before, made = layout or '', false
if layout == stays then return {'ok', before, made} end
if layout and layout ~= from and layout ~= also then
  return {'layout', layout}
end
call('DEL', P .. 'none')
if to == '' then
  call('HDEL', M, 'ver', 'gen', 'floor', 'layout', 'expiry', 'held', 'dead',
       'server', 'since', 'epochs', 'listed', 'sum', 'feed')
  return {'ok', before, made}
end
if ver == 0 then
  next_version()
  made = str(ver)
end
call('HSET', M, 'layout', to)
return {'ok', before, made}
