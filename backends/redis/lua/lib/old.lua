-- The rows that will be overwritten, into `old`.
local old, there, i = {}, {}, changes
if n > 1 and not clear then
  include 'lib/rows_of'
  local names = {}
  for c = 1, n do
    names[#names + 1] = B .. 'r:' .. ARGV[i + 1]
    if #names == 500 or c == n then
      local rows, first = rows_of(names), c - #names
      for j = 1, #names do there[first + j] = rows[j] end
      names = {}
    end
    i = i + (ARGV[i] == 'd' and 2 or 6)
  end
  i = changes
end
for c = 1, n do
  local key, more = ARGV[i + 1], ARGV[i] ~= 'd'
  local tags = more and ARGV[i + 4] or ''
  in_index = in_index or clear or not more
  in_expiry = in_expiry or more and ARGV[i + 5] ~= ''
  if clear then
    old[c] = {row = false, tags = ''}
    in_tags = in_tags or tags ~= ''
    types_of(tags)
  else
    old[c] = present(key, tags, there[c])
  end
  i = i + (more and 6 or 2)
end
in_expiry = in_expiry or m[EXPIRY] and m[EXPIRY] ~= ''
types()
if in_index and not clear and index_is_lost() then
  return {'corrupt', missing(K)}
end
if in_expiry and expiry_is_lost() then return {'corrupt', missing(X)} end
if not m[LAST] then call('ZCARD', R) end
if clear or restore ~= '' or m[DEAD] ~= '' then call('ZCARD', D) end
