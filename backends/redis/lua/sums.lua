-- sums.lua - sums up a part of the rows: {'sum', version, generation, place to
-- go on or false, bytes of keys, of values, of stored values, field `sum` of
-- meta or ''}. Rows that have expired and are not removed yet are included.
-- With `set` it also writes `xsizes` for rows that expire. The last call passes
-- `ver_then`, the version that all parts had: if it is still the store's,
-- `total` becomes `sum` and the result is {'ok'}, else {'moved'}.
local from, most, set, ver_then, total = unpack(ARGV, 1, 5)
most = tonumber(most)
include 'lib/store'
include 'lib/layout'
include 'lib/record'
include 'lib/sizes_of'
include 'lib/sums'
include 'lib/line'
if ver_then ~= '' then
  if str(ver) ~= ver_then then return {'moved'} end
  call('HSET', M, 'sum', total)
  return {'ok'}
end
local keys = call('ZRANGEBYLEX', K, from == '' and '-' or '(' .. from, '+',
                  'LIMIT', 0, most)
sum = {0, 0, 0}
for _, key in ipairs(keys) do
  local r, line = B .. 'r:' .. key, line_of(key)
  local kind, v, s = string.match(line, '^%d+ a?%d* ?([nirtb])'), nil, nil
  if kind == 'i' or kind == 'r' then
    v, s = sizes_of(call('GET', r))
  elseif kind then
    s = call('STRLEN', r) - #line - 1
    v = tonumber(string.match(line, '^[%w %-]* c%d+ s(%d+)')) or s
  else
    v, s = kept_sizes(key)
  end
  if v then count_row(key, v, s, 1) end
  if kind and set ~= '' and call('ZSCORE', X, key) then
    call('HSET', Z, key, str(v) .. ' ' .. str(s))
  end
end
return {'sum', str(ver), gen, #keys == most and keys[most] or false,
        str(sum[1]), str(sum[2]), str(sum[3]), m[SUM] or ''}
