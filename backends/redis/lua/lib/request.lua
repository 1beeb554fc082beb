-- What a transaction's part is called with, behind writer, number, deadline and
-- server.
--
--   seen     version that the view saw; '': it has read nothing
--   flags    c clear first, a everything was read, d nothing but deletes, u
--            takes back what version `seen` has done
--   claim    token of the caller's claim, or ''; and the claim's key
--   how many keys were read, ranges were read, changes are made
--   own      versions that do not count as changes, a comma around each
--   restore  generation before the clear that is taken back, or ''
--   txn      of several shards (prepare.lua): its name, or ''
--   keep     what is to be kept of changes (lib/feed.lua), or ''
--   limit    bytes that the store may have behind it, if it grows; or ''
--   keys; lo and hi of each range ('' = open); changes: 'p' key value
--   rest-of-line tags expiry, 'r' the same with the whole line, but for the
--   tags, that a row had before, or 'd' key
local seen, flags, claim, claimed = tonumber(ARGV[5]), ARGV[6], ARGV[7], ARGV[8]
local n, own, restore, txn = tonumber(ARGV[11]), unpack(ARGV, 12, 14)
local keep, limit = ARGV[15], ARGV[16]
local reads = 17
local ranges = reads + ARGV[9]
local changes = ranges + 2 * ARGV[10]
local clear, all_read = string.find(flags, 'c'), string.find(flags, 'a')
if clear and layout and tonumber(layout) and layout < SCRIPT_LAYOUT then
  layout = SCRIPT_LAYOUT
end
if ver == 0 and string.find(P, '/', 1, true) then
  return {'layout', SCRIPT_NO_LAYOUT}
end
