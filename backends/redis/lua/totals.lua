-- totals.lua - number of rows and tags, and their size, at the server's time or
-- at `at`, the client's time in ms, whichever is later. Returns {'totals',
-- rows, tags, bytes of keys, of values, of stored values}, without the last
-- three if they are not known; {'sweep'} if more than 10,000 rows have expired
-- and are not removed yet.
local at = tonumber(ARGV[1])
include 'lib/store'
include 'lib/layout'
include 'lib/tags'
include 'lib/sizes'
include 'lib/sums'
include 'lib/odd'
include 'lib/lost'
include 'lib/is_lost'
if is_lost() then return {'corrupt', missing(M)} end
if index_is_lost() then return {'corrupt', missing(K)} end
if expiry_is_lost() then return {'corrupt', missing(X)} end
local late, most = math.max(now, at + 1), 10000
local rows, tags, minus = call('ZCARD', K), call('ZCARD', G), {}
if m[EXPIRY] and m[EXPIRY] ~= '' and tonumber(m[EXPIRY]) < late then
  local gone = call('ZRANGEBYSCORE', X, '-inf', '(' .. str(late),
                    'LIMIT', 0, most + 1)
  if #gone > most then return {'sweep'} end
  for _, key in ipairs(gone) do
    rows = rows - 1
    if sum then count_out(key, {exp = true}) end
    for _, t in ipairs(list(call('HGET', E, key))) do
      minus[t] = (minus[t] or 0) + 1
    end
  end
end
for t, n in pairs(minus) do
  if call('ZCARD', B .. 't:' .. t) <= n then tags = tags - 1 end
end
local out = {'totals', str(rows), str(tags)}
if sum then
  for i = 1, 3 do out[3 + i] = str(math.max(sum[i], 0)) end
end
return out
