-- Returns {'full', ..} if the changes would make the store larger than its
-- limit. Changes that do not make it larger are always applied.
if limit ~= '' and sum then
  local more, i = clear and -sum[1] - sum[3] or 0, changes
  local function weigh(key, v, s, times) more = more + times * (#key + s) end
  for c = 1, n do
    local op, key, o = ARGV[i], ARGV[i + 1], old[c]
    if o.row then
      local v, s = sizes_there(o)
      weigh(key, v, s, -1)
    end
    if op ~= 'd' then
      local v, s = sizes(ARGV[i + 3], ARGV[i + 2])
      weigh(key, v, s, 1)
    end
    i = i + (op == 'd' and 2 or 6)
  end
  if more > 0 and sum[1] + sum[3] + more > tonumber(limit) then
    return {'full', str(sum[1] + sum[3])}
  end
end
