-- Notes in `held` that a claim or a lease holds until `till`.
local function hold(till)
  if till > tonumber(m[HELD] or 0) then call('HSET', M, 'held', str(till)) end
end
