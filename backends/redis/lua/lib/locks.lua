-- Locks of transactions over several shards; they do not expire. `locks` has
-- the name of the transaction for each key that it will change; the key ''
-- stands for all keys. While there are locks, `held` is SCRIPT_FOREVER.
local O, I, Y = P .. 'locks', P .. 'intents', P .. 'decided'
local is_held = tonumber(m[HELD] or 0) > now
local has_locks = m[HELD] == SCRIPT_FOREVER
-- The name of the transaction, other than `txn`, that has locked the key.
local function locked(key)
  local id = has_locks and call('HGET', O, key)
  if id and id ~= txn then return id end
end
