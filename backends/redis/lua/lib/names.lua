-- Names of the store's keys. Those that begin with B change with the
-- generation.
local B, K, X, G, E, Z
local function generation(g)
  gen, B = g, P .. g .. ':'
  K, X, G, E = B .. 'keys', B .. 'expiry', B .. 'tags', B .. 'xtags'
  Z = B .. 'xsizes'
end
generation(gen)
local C, L, D, R = P .. 'changes', P .. 'claims', P .. 'dead', P .. 'writers'
local F = P .. 'feed'
-- The key in `changes` for a version that has only removed expired or evicted
-- rows.
local NO_KEY = string.char(255)
