-- finish.lua - ends a transaction's part in this shard, or says how it ends.
--
-- A transaction's name is `<shard>-<random>-<ms>-<ms>`: the shard that decides,
-- and the times from which on others may ask for it, and end it. `what`:
--
--   decide   in the deciding shard: does its part, and remembers, in `decided`,
--            the others in which it has to be done. From then on it is certain
--   apply    does the part
--   drop     forgets it
--   resolve  asks the deciding shard: {'commit', shards}, {'wait'}, {'abort'}.
--            What is not decided when its time has come never will be
--   abandon  the same, as if its time had come
--   forget   it is done in all shards
--
-- Answers {'none'} where there is no part of it (any more), else {'ok'} or what
-- a commit does. Each may come twice.
local writer, number, deadline, server = unpack(ARGV, 1, 4)
local what, txn, shards = unpack(ARGV, 5, 7)
include 'lib/look'
include 'lib/state'
include 'lib/names'
include 'lib/locks'
if what == 'forget' then
  call('HDEL', Y, txn)
  return {'ok'}
end
local asks = what == 'resolve' or what == 'abandon'
if asks then
  local all = call('HGET', Y, txn)
  if all then return {'commit', all} end
  if what == 'resolve' and tonumber(string.match(txn, '%d+$')) > now and
     call('HEXISTS', I, txn) == 1 then
    return {'wait'}
  end
end
if what == 'decide' or what == 'apply' then
  include 'lib/once'
end
local packed = call('HGET', I, txn)
if not packed then return {asks and 'abort' or 'none'} end
local ARGV = cmsgpack.unpack(packed)
include 'lib/request'
include 'lib/layout'
include 'lib/claims'
local function unlock()
  call('HDEL', I, txn)
  if clear or restore ~= '' then call('HDEL', O, '') end
  local i = changes
  for c = 1, n do
    call('HDEL', O, ARGV[i + 1])
    i = i + (ARGV[i] == 'd' and 2 or 6)
  end
  -- Claims last no longer than that.
  if call('EXISTS', I) == 0 then
    call('HSET', M, 'held', call('EXISTS', L) == 1 and str(now + 2000) or '0')
  end
end
if asks or what == 'drop' then
  unlock()
  return {asks and 'abort' or 'ok'}
end
include 'lib/changes'
include 'lib/tags'
include 'lib/rows'
include 'lib/old'
include 'lib/versions'
include 'lib/writers'
include 'lib/remove'
call('DEL', P .. 'none')
include 'lib/apply'
if what == 'decide' and shards ~= '' then call('HSET', Y, txn, shards) end
unlock()
done()
return {'ok', v, before, cleared, rows}
