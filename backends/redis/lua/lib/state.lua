-- The fields read by lib/look.lua, as numbers. Versions are numbers up to 2^53:
-- str() turns them into text, because tostring() rounds.
local function str(n) return string.format('%.0f', n) end
local now = T[1] * 1000 + math.floor(T[2] / 1000)
local ver, gen = tonumber(m[VER] or 0), m[GEN] or '0'
local floor, layout = tonumber(m[FLOOR] or 0), m[LAYOUT] or (m[VER] and '1')
