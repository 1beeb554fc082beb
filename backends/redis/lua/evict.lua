-- evict.lua - removes rows so that the store stays below its size limit.
--
-- Arguments: key, its updated_at in ms, ..
--
-- Transactions that have read the rows see them as expired. A row stays if it
-- was written after the caller chose it, or if another client holds a claim or
-- a lock on it.
--
-- Returns {'ok', number of rows, bytes of their keys and stored values}.
local server, txn = '', nil
include 'lib/store'
include 'lib/layout'
include 'lib/claims'
include 'lib/locks'
include 'lib/tags'
include 'lib/record'
include 'lib/rows'
include 'lib/versions'
include 'lib/lease'
if till > now or locked('') then return {'ok', 0, 0} end
local function updated(row)
  local created = string.match(row, '^%d+ a?%d* ?[nirtb](%-?%d+)')
  return created and created + (string.match(row, '^[%w %-]* u(%-?%d+)') or 0)
end
local go, n = {}, 0
for i = 1, #ARGV, 2 do
  local key = ARGV[i]
  local o = present(key, '')
  if o.row and not go[key] and updated(o.row) == tonumber(ARGV[i + 1]) and
     not locked(key) and not foreign(call('HGET', L, key), '') then
    go[key] = o
    n = n + 1
  end
end
if n == 0 then return {'ok', 0, 0} end
in_index = true
types()
call('DEL', P .. 'none')
if feed then
  next_version()
  call('RPUSH', C, str(ver) .. ' ' .. NO_KEY)
end
local bytes = 0
for key, o in pairs(go) do
  local v, s = sizes_there(o)
  bytes = bytes + #key + s
  drop(key, o)
  if feed then feed_note('x', key) end
end
include 'lib/note_sum'
note_expiry()
return {'ok', n, bytes}
