-- clean.lua - removes rows that a clear has left: of generation `g`, or of any
-- that was cleared `age` ms ago. {'more', how many}, 0 when that was the end of
-- one generation; or {'end'}.
local g, most, age = ARGV[1], tonumber(ARGV[2]), ARGV[3]
include 'lib/store'
include 'lib/remove'
if g == '' then
  g = call('ZRANGEBYSCORE', D, '-inf', str(now - age), 'LIMIT', 0, 1)[1]
end
if not g or g == gen or not call('ZSCORE', D, g) then return {'end'} end
return {'more', remove(g, most)}
