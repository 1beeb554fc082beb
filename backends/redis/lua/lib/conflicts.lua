-- Returns from the script if another commit since the view began conflicts with
-- the transaction. A view of version 0 saw no store; it conflicts only if the
-- store, which has been created since, has rows.
local undo = string.find(flags, 'u')
if seen and ver ~= seen and (seen > 0 or call('EXISTS', K) == 1) then
  include 'lib/changed'
  if seen > 0 and not in_history(seen) then
    return {undo and 'gone' or 'conflict', '', 'lost'}
  end
  if all_read or restore ~= '' then return {'conflict', ''} end
  for i = reads, ranges - 1 do
    if changed(ARGV[i]) then return {'conflict', ARGV[i]} end
  end
  if changes > ranges then
    local key = range_changed()
    if key then return {'conflict', key} end
  end
end
if restore ~= '' and not call('ZSCORE', D, restore) then
  return {'conflict', ''}
end
-- A transaction over several shards that has locked what was read may be about
-- to change it.
if has_locks then
  include 'lib/ranges'
  include 'lib/find_locked'
  local function locked_read()
    local id = locked('')
    if id then return '', id end
    for i = reads, seen and ranges - 1 or 0 do
      id = locked(ARGV[i])
      if id then return ARGV[i], id end
    end
    if not seen or (ranges == changes and not all_read) then return end
    return find_locked(function(key, size)
      return all_read or size * (changes - ranges) > 4000000 or in_ranges(key)
    end)
  end
  local key, id = locked_read()
  if id then return {'locked', key, id} end
end
