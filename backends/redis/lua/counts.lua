-- counts.lua - tags and their counts.
--
-- order_of is 'r' for falling names or ''; lower and upper are bounds, `most`
-- tags at most, `at` is the time in ms as the client has it, `all` is 'all' or
-- ''. A set counts its members; those that have expired, but were not removed
-- yet, do not count. If they are very many the answer is {'sweep'}, unless all
-- are asked for.
--
-- Behind the place where to go on: tag and count, without those of none.
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
