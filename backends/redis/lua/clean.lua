-- clean.lua - removes rows that a clear has left: of generation `g`, or, if
-- that is '', of a generation that was cleared more than `age` ms ago. Returns
-- {'more', number of rows}, where 0 means that the generation is complete, or
-- {'end'}.
local g, most, age = ARGV[1], tonumber(ARGV[2]), ARGV[3]
include 'lib/store'
include 'lib/remove'
if g == '' then
  g = call('ZRANGEBYSCORE', D, '-inf', str(now - age), 'LIMIT', 0, 1)[1]
end
if not g or g == gen or not call('ZSCORE', D, g) then return {'end'} end
return {'more', remove(g, most)}
