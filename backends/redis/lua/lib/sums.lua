-- The sums over all rows, updated with every change of a row (docs/format.md,
-- "Redis"); `sum` is false if they are not known. A row that the server has
-- expired is counted until it is removed from the index: `xsizes` has its
-- sizes.
local sum, sum_changed = sum_of(m[SUM] or ver == 0 and '0 0 0') or false, false
local function count_row(key, v, s, times)
  sum[1], sum[2] = sum[1] + times * #key, sum[2] + times * v
  sum[3], sum_changed = sum[3] + times * s, true
end
-- The entry of a key in `xsizes`, or nil.
local function kept_sizes(key)
  local kept = redis.pcall('HGET', Z, key)
  local v, s = string.match(type(kept) == 'string' and kept or '',
                            '^(%d+) (%d+)$')
  return tonumber(v), tonumber(s)
end
-- The sizes of a row, as returned by present().
local function sizes_there(o)
  if not o.kind then return 0, 0 end
  return sizes_then(o.kind, o.codec, o.row, o.at)
end
-- Subtracts the sizes of the row that present() has found.
local function count_out(key, o)
  if o.row then
    local v, s = sizes_there(o)
    count_row(key, v, s, -1)
  elseif o.exp then
    local v, s = kept_sizes(key)
    if v then count_row(key, v, s, -1) end
  end
end
-- The sums as text, or false.
local function sum_now()
  return sum and sum[1] >= 0 and sum[2] >= 0 and sum[3] >= 0 and
    sum_text(sum[1], sum[2], sum[3])
end
