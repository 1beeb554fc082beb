-- validate.lua - whether what a transaction has read in this shard has changed,
-- or is about to. Changes nothing.
--
-- Arguments: those of a commit without changes. Answers {'ok'}, {'conflict',
-- key}, {'claimed', key}.
include 'lib/store'
include 'lib/request'
include 'lib/layout'
include 'lib/less'
include 'lib/claims'
include 'lib/changes'
include 'lib/history'
include 'lib/conflicts'
return {'ok'}
