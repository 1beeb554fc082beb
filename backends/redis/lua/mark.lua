-- mark.lua - looks at the layout, which says how many shards a store has, or
-- changes it (shards_mark.c). If the layout is `is` the answer is {'is'}. If
-- there is one that is neither `from` nor `also`, it is {'layout', which}.
-- Without `to` it is {'no'}. Otherwise the layout becomes `to`, and with
-- to = '' the fields of the store are removed: {'ok', to}.
local server, is, from, also, to = unpack(ARGV, 1, 5)
include 'lib/store'
include 'lib/sizes'
include 'lib/sums'
include 'lib/versions'
if layout == is then return {'is'} end
if layout and layout ~= from and layout ~= also then
  return {'layout', layout}
end
if not to then return {'no'} end
call('DEL', P .. 'none')
if to == '' then
  call('HDEL', M, 'ver', 'gen', 'floor', 'layout', 'expiry', 'held', 'dead',
       'server', 'since', 'epochs', 'listed', 'sum', 'feed')
else
  if ver == 0 then next_version() end
  call('HSET', M, 'layout', to)
end
return {'ok', to}
