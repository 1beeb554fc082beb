-- The problem with a key of the store that another program has changed: a text,
-- or nil.
local function odd(name, want)
  local is = call('TYPE', name).ok
  if is == want or is == 'none' then return end
  return "'" .. name .. "' is a " .. is .. ', and should be a ' .. want
end
local function missing(name)
  return "'" .. name .. "' is not there, but what belongs to it is"
end
