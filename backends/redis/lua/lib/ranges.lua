-- True if the key is in a range that the transaction has read.
include 'lib/less'
local function in_ranges(key)
  for i = ranges, changes - 1, 2 do
    local lo, hi = ARGV[i], ARGV[i + 1]
    if not lt(key, lo) and (hi == '' or lt(key, hi)) then return true end
  end
end
