-- prepare.lua - prepares the part of a transaction over several shards in this
-- shard.
--
-- It makes the checks of a commit, but changes no row: it stores its arguments
-- in `intents`, from which any client can finish the transaction (finish.lua),
-- and locks the keys that the part changes. Other writers wait until the
-- transaction has ended; the locks do not expire.
--
-- If `writer` is '', it only checks that what was read has not changed and,
-- with flag i, that the part is still there ({'none'}).
--
-- Arguments: lib/request.lua. Returns {'ok'}, or what commit.lua returns if it
-- does not commit. The same call may be repeated.
local writer, number, deadline, server = unpack(ARGV, 1, 4)
include 'lib/look'
include 'lib/state'
if writer ~= '' then
  include 'lib/once'
end
include 'lib/names'
include 'lib/request'
include 'lib/layout'
include 'lib/changes'
include 'lib/locks'
include 'lib/conflicts'
if writer == '' then
  local lost = string.find(flags, 'i') and call('HEXISTS', I, txn) == 0
  return {lost and 'none' or 'ok'}
end
include 'lib/before'
include 'lib/tags'
include 'lib/record'
include 'lib/rows'
include 'lib/odd'
include 'lib/lost'
include 'lib/old'
include 'lib/limit'
call('HLEN', I)
call('HLEN', O)
if string.find(flags, '[du]') then call('DEL', P .. 'none') end
call('HSET', I, txn, cmsgpack.pack(ARGV))
if clear or restore ~= '' then call('HSET', O, '', txn) end
i = changes
for c = 1, n do
  call('HSET', O, ARGV[i + 1], txn)
  i = i + (ARGV[i] == 'd' and 2 or 6)
end
call('HSET', M, 'held', SCRIPT_FOREVER)
return {'ok'}
