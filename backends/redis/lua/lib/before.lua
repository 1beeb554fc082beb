-- Returns from the script if another client holds a lease, a claim or a lock
-- that covers a key to be changed.
if is_held then
  include 'lib/claims'
  include 'lib/lease'
  if till > now then
    return {'leased', call('HGET', M, 'leaser') or '', str(till - now)}
  end
  if clear or restore ~= '' then
    include 'lib/find_locked'
    local key, id = find_locked(function() return true end)
    if id then return {'locked', key, id} end
    local all = call('HGETALL', L)
    for j = 1, #all, 2 do
      if foreign(all[j + 1], claim) then return {'claimed', all[j]} end
    end
  end
  local i = changes
  for c = 1, n do
    local key = ARGV[i + 1]
    if foreign(call('HGET', L, key), claim) then return {'claimed', key} end
    local id = locked(key)
    if id then return {'locked', key, id} end
    i = i + (ARGV[i] == 'd' and 2 or 6)
  end
end
