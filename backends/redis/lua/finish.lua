-- finish.lua - ends a transaction's part in this shard, or says how it ends.
--
-- A transaction's name is `<shard>-<random>-<ms>-<ms>`: the deciding shard, the
-- time from which other clients may ask for the transaction, and the time from
-- which they may end it. `what`:
--
--   decide   in the deciding shard: applies the part, and notes the other
--            shards in `decided`. From then on the transaction is committed
--   apply    applies the part
--   drop     discards the part: {'abort'}, unless the transaction is decided in
--            this shard: {'commit', shard, ..}
--   resolve  as drop, in the deciding shard, but {'wait'} before its time
--   forget   all shards have applied their parts: removes it from `decided`
--   list     after 'list', the names of transactions whose first time has come
--
-- Returns {'done'} if another client has applied the part, {'none'} if there is
-- no part, else {'ok'} or what commit.lua returns. Each call may be repeated.
local writer, number, deadline, server, what, txn = unpack(ARGV, 1, 6)
local shards = table.concat(ARGV, ' ', 7)
local ask, due = string.match(txn, '(%d+)%-(%d+)$')
include 'lib/look'
include 'lib/state'
include 'lib/names'
include 'lib/locks'
if what == 'list' then
  local names = {'list'}
  for _, set in ipairs({I, Y}) do
    for _, name in ipairs(call('HKEYS', set)) do
      if tonumber(string.match(name, '(%d+)%-%d+$')) <= now then
        names[#names + 1] = name
      end
    end
  end
  return names
end
if what == 'forget' then
  call('HDEL', Y, txn)
  return {'ok'}
end
local drops = what == 'resolve' or what == 'drop'
if drops then
  local all = call('HGET', Y, txn)
  local waits = tonumber(all and ask or due or 0) > now
  if what == 'resolve' and waits and (all or call('HEXISTS', I, txn) == 1) then
    return {'wait'}
  end
  if all then
    local answer = {'commit'}
    for shard in string.gmatch(all, '%d+') do answer[#answer + 1] = shard end
    return answer
  end
end
-- A call under the transaction's own name, by another client, has no deadline:
-- the transaction is decided.
if writer ~= txn then
  include 'lib/once'
end
local packed = call('HGET', I, txn)
-- If `locks` is lost, others may have written: the part does not count.
if not packed or call('EXISTS', O) == 0 then
  if drops then return {'abort'} end
  return {call('HEXISTS', M, 'w:' .. txn) == 1 and 'done' or 'none'}
end
local ARGV = cmsgpack.unpack(packed)
include 'lib/request'
include 'lib/layout'
local answer = {'abort'}
if not drops then
  call('HLEN', Y)
  call('HLEN', O)
  include 'lib/changes'
  include 'lib/tags'
  include 'lib/record'
  include 'lib/rows'
  include 'lib/odd'
  include 'lib/lost'
  include 'lib/old'
  include 'lib/versions'
  call('DEL', P .. 'none')
  include 'lib/apply'
  if what == 'decide' and shards ~= '' then call('HSET', Y, txn, shards) end
  include 'lib/done'
  answer = {'ok', v, before, cleared, rows}
end
-- Removes the part and its locks.
call('HDEL', I, txn)
if clear or restore ~= '' then call('HDEL', O, '') end
local i = changes
for c = 1, n do
  call('HDEL', O, ARGV[i + 1])
  i = i + (ARGV[i] == 'd' and 2 or 6)
end
-- No claim lasts longer than 2 s.
if call('EXISTS', I) == 0 then
  call('HSET', M, 'held', call('EXISTS', L) == 1 and str(now + 2000) or '0')
end
return answer
