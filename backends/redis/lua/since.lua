-- since.lua - changes of the commits after version `since`, up to version
-- `upto` ('' for the present one): at most `most` entries, from number `from`
-- on ('' for the first).
--
-- Returns {'since', version, place to go on or false, then version, op and key
-- of each change}, {'none', version} (no changes are kept), {'gone', lowest
-- possible `since`} or {'ahead', version}.
local since, upto, from, most = unpack(ARGV, 1, 4)
since, most = tonumber(since), tonumber(most)
include 'lib/store'
include 'lib/layout'
include 'lib/history'
include 'lib/feed'
if since > ver or since > 0 and ver > 0 and not in_history(since) then
  return {'ahead', str(ver)}
end
if since == ver then return {'since', str(ver), false} end
if not feed then return {'none', str(ver)} end
if feed_is_cut() then return {'gone', str(ver)} end
local seen = from == '' and since or tonumber(string.match(from, '%d+')) - 1
if math.max(seen, since) < feed.floor then return {'gone', str(feed.floor)} end
if from == '' then from = str(since + 1) .. '-0' end
local list = call('XRANGE', F, from, upto == '' and str(ver) or upto,
                  'COUNT', most + 1)
local out = {'since', str(ver), false}
for i, entry in ipairs(list) do
  if i > most then
    out[3] = entry[1]
    break
  end
  out[#out + 1] = string.match(entry[1], '^%d+')
  out[#out + 1] = entry[2][1]
  out[#out + 1] = entry[2][2]
end
return out
