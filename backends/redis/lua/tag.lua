-- tag.lua - rows with one tag. It has the arguments and answers of match.lua
-- and takes the server less time; `looks` has no effect.
local wanted_gen, order_of, lower, upper = unpack(ARGV, 1, 4)
local wanted, enough = ARGV[5] + 0, ARGV[7] + 0
local only_keys, tag = ARGV[8] ~= '', ARGV[10]
include 'lib/rows_out'
local set, keys = B .. 't:' .. tag, nil
if back then
  keys = call('ZREVRANGEBYLEX', set, upper, lower, 'LIMIT', 0, wanted)
else
  keys = call('ZRANGEBYLEX', set, lower, upper, 'LIMIT', 0, wanted)
end
if #keys == 0 and call('ZSCORE', G, tag) and call('EXISTS', set) == 0 then
  return {'corrupt', missing(set)}
end
local i = 1
while i <= #keys and bytes < enough do
  local texts, whole = read(keys, i, #keys - i + 1)
  if lost then return {'corrupt', lost} end
  for k, text in ipairs(texts) do
    if text ~= '' then emit(keys[i + k - 1], text, whole) end
  end
  i = i + #texts
end
if i <= #keys or #keys == wanted then out[4] = keys[i - 1] end
return out
