-- Names of the store's keys; the upper row changes with the generation.
local B, K, X, G, E
local function generation(g)
  gen, B = g, P .. g .. ':'
  K, X, G, E = B .. 'keys', B .. 'expiry', B .. 'tags', B .. 'xtags'
end
generation(gen)
local C, L, D, R = P .. 'changes', P .. 'claims', P .. 'dead', P .. 'writers'
