-- prepare.lua - a transaction over several shards: its part in this one.
--
-- Checks what a commit checks, but changes no row: it keeps what was asked for
-- in `intents`, from which whoever comes can finish it (finish.lua), and locks
-- what it will change. Others wait until it has ended; no time ends it.
--
-- Without a writer it only looks whether what was read is still so and, with
-- flag i, whether the part is still there ({'none'}).
--
-- Arguments: lib/request.lua. Answers {'ok'}, or what a commit that was not
-- done does. The same call may come twice.
local writer, number, deadline, server = unpack(ARGV, 1, 4)
include 'lib/look'
include 'lib/state'
if writer ~= '' then
  include 'lib/once'
end
include 'lib/names'
include 'lib/request'
include 'lib/layout'
include 'lib/claims'
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
