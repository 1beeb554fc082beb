-- What a commit script was called with, behind writer, number and deadline.
--
--   seen    version that the view saw; '': it has read nothing
--   flags   c clear first, a everything was read, d nothing but deletes
--   claim   token of the caller's claim or lock, or ''; and the claim's key
--   how many keys were read, ranges were read, changes are made
--   own     versions that do not count as changes, with a comma around each
--   keys; lo and hi of each range; changes: 'p' key value rest-of-meta tags
--   expiry, or 'd' key
local seen, flags, claim, claimed = tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7]
local n, own = tonumber(ARGV[10]), ARGV[11]
local reads = 12
local ranges = reads + ARGV[8]
local changes = ranges + 2 * ARGV[9]
local clear, all_read = string.find(flags, 'c'), string.find(flags, 'a')
if clear and layout == '1' then layout = SCRIPT_LAYOUT end
if ver == 0 and string.find(P, '/', 1, true) then
  return {'layout', SCRIPT_NO_LAYOUT}
end
