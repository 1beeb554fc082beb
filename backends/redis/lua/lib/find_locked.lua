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
