-- counts.lua - tags and their counts.
--
-- order_of     'r' for descending names, or ''
-- lower upper  bounds of names
-- most         maximum number of tags
-- at           the client's time in ms
-- all          'all' or ''
--
-- The count of a tag is the size of its set minus its rows that have expired
-- and are not removed yet. If more than 10,000 rows have expired, the script
-- returns {'sweep'}, unless `all` is set.
--
-- Returns the page's head (lib/page.lua), then tag and count of each tag whose
-- count is not 0.
local wanted_gen, order_of, lower, upper, most, at, all = unpack(ARGV, 1, 7)
most = tonumber(most)
include 'lib/store'
include 'lib/tags'
include 'lib/page'
local late = math.max(now, at + 1)
local minus = {}
if m[EXPIRY] and m[EXPIRY] ~= '' and tonumber(m[EXPIRY]) < late then
  local looks = all ~= '' and -1 or 10001
  local gone = call('ZRANGEBYSCORE', X, '-inf', '(' .. str(late),
                    'LIMIT', 0, looks)
  if #gone == looks then return {'sweep'} end
  for _, key in ipairs(gone) do
    for _, t in ipairs(list(call('HGET', E, key))) do
      minus[t] = (minus[t] or 0) + 1
    end
  end
end
local names
if back then
  names = call('ZREVRANGEBYLEX', G, upper, lower, 'LIMIT', 0, most)
else
  names = call('ZRANGEBYLEX', G, lower, upper, 'LIMIT', 0, most)
end
for _, t in ipairs(names) do
  local n = call('ZCARD', B .. 't:' .. t) - (minus[t] or 0)
  if n > 0 then
    out[#out + 1] = t
    out[#out + 1] = str(n)
  end
end
if #names == most then out[4] = names[most] end
return out
