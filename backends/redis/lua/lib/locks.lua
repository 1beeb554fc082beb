-- Locks of transactions over several shards, which have no end of their own:
-- `locks` has the name of the transaction for each key that it will change, ''
-- stands for all keys. While there are any, `held` is SCRIPT_FOREVER.
local O, I, Y = P .. 'locks', P .. 'intents', P .. 'decided'
local is_held = tonumber(m[HELD] or 0) > now
local has_locks = m[HELD] == SCRIPT_FOREVER
-- The name of another transaction than `txn` that holds the key.
local function locked(key)
  local id = has_locks and call('HGET', O, key)
  if id and id ~= txn then return id end
end
-- A key that another one holds, of those that `counts`; and its name.
local function find_locked(counts)
  local all = has_locks and call('HGETALL', O) or {}
  for j = 1, #all, 2 do
    if all[j + 1] ~= txn and counts(all[j], #all) then
      return all[j], all[j + 1]
    end
  end
end
