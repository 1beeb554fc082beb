-- The arguments of a transaction's part, after writer, number, deadline and
-- server:
--
--   seen     version of the view; '': the transaction has read nothing
--   flags    c clear first, a everything was read, d only deletes, u undo what
--            version `seen` has done, k only check, i only check, and say
--            whether the part was prepared
--   claim    token of the caller's claim, or ''; and the claimed key
--   numbers of keys read, of ranges read, and of changes
--   own      versions that do not count as changes, each with commas around it
--   restore  generation before the clear that is undone, or ''
--   txn      name of a transaction over several shards (finish.lua), or ''
--   keep     option keep_changes (lib/feed.lua), or ''
--   limit    maximum size of the store in bytes after the commit, or ''
--   the keys read; lo and hi of each range ('' = open); the changes:
--     'p' key value rest-of-line tags expiry
--     'r' key value line tags expiry     the row as it was, with its whole line
--                                        but for the tags
--     'd' key
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
