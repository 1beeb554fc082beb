-- Keys are ordered by their bytes; `<` would use the server's locale.
local function lt(a, b)
  local same = math.min(#a, #b)
  for i = 1, same do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end
