-- sweep.lua - removes index entries, tags and sizes of rows that the server has
-- expired. Returns {'ok', number of rows}.
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
-- A reader of the changes needs a version for the rows that are removed.
if feed then
  types()
  next_version()
  call('RPUSH', C, str(ver) .. ' ' .. NO_KEY)
end
include 'lib/sweep'
local n = sweep(most)
include 'lib/note_sum'
note_expiry()
return {'ok', n}
