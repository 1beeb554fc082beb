-- sweep.lua - removes what is left of rows that have expired. {'ok', how many}.
local most = tonumber(ARGV[1])
include 'lib/store'
include 'lib/layout'
include 'lib/tags'
include 'lib/record'
include 'lib/rows'
if not m[EXPIRY] or m[EXPIRY] == '' or tonumber(m[EXPIRY]) >= now then
  return {'ok', 0}
end
call('ZCARD', X)
call('DEL', P .. 'none')
local n = sweep(most)
note_expiry()
return {'ok', n}
