-- A call is done once at most, and not after its deadline.
if now > tonumber(deadline) then return {'late'} end
if m[LAST] and tonumber(string.match(m[LAST], '^%d+')) >= tonumber(number) then
  return {'again'}
end
