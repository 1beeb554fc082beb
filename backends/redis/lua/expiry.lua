-- expiry.lua - keys by expiry.
--
-- order_of           'r' for descending order, or ''
-- from_ms, from_key  the first entry, or ''
-- skip               'x' to leave out exactly that entry, or ''
-- most               maximum number of entries
--
-- Returns the page's head (lib/page.lua), whose place to go on is '1' or false;
-- then key and time of each entry.
local wanted_gen, order_of, from_ms, from_key, skip, most = unpack(ARGV, 1, 6)
most = tonumber(most)
include 'lib/store'
include 'lib/page'
include 'lib/less'
include 'lib/odd'
include 'lib/lost'
if gen == m[GEN] and expiry_is_lost() then return {'corrupt', missing(X)} end

-- The position of the first entry from (from_ms, from_key) on; `behind`: after
-- it.
local function first(behind)
  local low = call('ZCOUNT', X, '-inf', '(' .. from_ms)
  local high = call('ZCOUNT', X, '-inf', from_ms)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local key = call('ZRANGE', X, middle, middle)[1]
    if lt(key, from_key) or (behind and key == from_key) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end
local list
if back then
  local stop = call('ZCARD', X)
  if from_ms ~= '' then stop = first(skip == '') end
  list = stop > 0 and call('ZRANGE', X, math.max(stop - most, 0), stop - 1,
                           'WITHSCORES') or {}
  for i = #list - 1, 1, -2 do
    out[#out + 1] = list[i]
    out[#out + 1] = list[i + 1]
  end
else
  local start = from_ms ~= '' and first(skip ~= '') or 0
  list = call('ZRANGE', X, start, start + most - 1, 'WITHSCORES')
  for i = 1, #list do out[#out + 1] = list[i] end
end
if #list == 2 * most then out[4] = '1' end
return out
