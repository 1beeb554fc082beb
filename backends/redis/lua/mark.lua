-- mark.lua - sets the layout, which says how many shards a store has
-- (shards_mark.c). If the layout is `stays`, nothing is changed. If it is
-- `from` or `also`, or there is none, it becomes `to`; to = '': the fields of
-- the store are removed. Returns {'ok', layout before or '', version of the
-- store that was created or false}, or {'layout', the other layout}.
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
