-- The sums over all rows, kept with every change of a row (docs/format.md,
-- "Redis"). A row that the server has expired is counted until it is taken out
-- of the index: `xsizes` knows what it had.
local sum, sum_changed
-- The sums, or false where they are not known.
local function counted()
  if sum == nil then
    sum = sum_of(m[SUM] or ver == 0 and '0 0 0') or false
  end
  return sum
end
local function count_bytes(k, v, s)
  sum[1], sum[2], sum[3] = sum[1] + k, sum[2] + v, sum[3] + s
  sum_changed = true
end
local function count_row(key, v, s, times)
  count_bytes(times * #key, times * v, times * s)
end
-- What `xsizes` has of a key: nil where that is nothing.
local function kept_sizes(key)
  local kept = redis.pcall('HGET', Z, key)
  local v, s = string.match(type(kept) == 'string' and kept or '',
                            '^(%d+) (%d+)$')
  return tonumber(v), tonumber(s)
end
-- What is there of a key, as present() has found it, goes.
local function count_out(key, o)
  if o.row then
    local v, s = sizes_of(o.row)
    count_row(key, v, s, -1)
  elseif o.exp then
    local v, s = kept_sizes(key)
    if v then count_row(key, v, s, -1) end
  end
end
local function forget_sum()
  sum, sum_changed = false, true
end
local function note_sum()
  if not sum_changed then return end
  if sum and sum[1] >= 0 and sum[2] >= 0 and sum[3] >= 0 then
    call('HSET', M, 'sum', sum_text(sum[1], sum[2], sum[3]))
  else
    call('HDEL', M, 'sum')
  end
end
