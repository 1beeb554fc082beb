-- validate.lua - whether what a transaction has read in this shard has changed,
-- or is about to; and whether its own part is still there. Changes nothing.
--
-- Arguments: lib/request.lua, without changes; flag i: there is a part. Answers
-- {'ok'}, {'conflict', key}, {'locked', key, transaction}, {'none'}.
include 'lib/store'
include 'lib/request'
include 'lib/layout'
include 'lib/less'
include 'lib/changes'
include 'lib/history'
include 'lib/locks'
include 'lib/conflicts'
if string.find(flags, 'i') and call('HEXISTS', I, txn) == 0 then
  return {'none'}
end
return {'ok'}
