-- A call comes once, and in time, or not at all.
if now > tonumber(deadline) then return {'late'} end
if m[LAST] and tonumber(string.match(m[LAST], '^%d+')) >= tonumber(number) then
  return {'again'}
end
