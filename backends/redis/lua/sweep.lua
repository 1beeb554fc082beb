-- sweep.lua - removes what is left of rows that have expired. {'ok', how many}.
local most, server = tonumber(ARGV[1]), ''
include 'lib/store'
include 'lib/layout'
include 'lib/tags'
include 'lib/record'
include 'lib/rows'
include 'lib/versions'
if not m[EXPIRY] or m[EXPIRY] == '' or tonumber(m[EXPIRY]) >= now then
  return {'ok', 0}
end
call('ZCARD', X)
call('DEL', P .. 'none')
-- Who follows the changes must see a version for what is gone.
if feed then
  types()
  next_version()
  call('RPUSH', C, str(ver) .. ' ' .. NO_KEY)
end
local n = sweep(most)
note_sum()
note_expiry()
return {'ok', n}
