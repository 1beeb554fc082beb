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
-- A key for which counts() is true and that another transaction has locked; and
-- the name of that one.
local function find_locked(counts)
  local all = has_locks and call('HGETALL', O) or {}
  for j = 1, #all, 2 do
    if all[j + 1] ~= txn and counts(all[j], #all) then
      return all[j], all[j + 1]
    end
  end
end
