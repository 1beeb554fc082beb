-- Names of the store's keys; the upper row changes with the generation.
local B, K, X, G, E, Z
local function generation(g)
  gen, B = g, P .. g .. ':'
  K, X, G, E = B .. 'keys', B .. 'expiry', B .. 'tags', B .. 'xtags'
  Z = B .. 'xsizes'
end
generation(gen)
local C, L, D, R = P .. 'changes', P .. 'claims', P .. 'dead', P .. 'writers'
local F = P .. 'feed'
-- In `changes`, for a version that has changed no row but those that expired.
local NO_KEY = string.char(255)
