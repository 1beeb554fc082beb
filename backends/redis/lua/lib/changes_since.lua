-- Keys changed after version `seq`, by a version for which counts() is true.
local function changes_since(seq, counts)
  local keys, last = {}, -1
  while true do
    local list = call('LRANGE', C, last - 99, last)
    for i = #list, 1, -1 do
      local v, key = string.match(list[i], '^(%d+) (.*)$')
      if tonumber(v) <= seq then return keys end
      if key ~= NO_KEY and counts(v) then keys[key] = true end
    end
    if #list < 100 then return keys end
    last = last - 100
  end
end
