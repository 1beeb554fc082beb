-- The rows that will be overwritten.
local old, i = {}, changes
for c = 1, n do
  local key, more = ARGV[i + 1], ARGV[i] ~= 'd'
  local tags = more and ARGV[i + 4] or ''
  if clear then
    old[c] = {row = false, tags = ''}
    types_of(tags)
  else
    old[c] = present(key, tags)
  end
  i = i + (more and 6 or 2)
end
types()
call('ZCARD', R)
call('ZCARD', D)
