-- pending.lua - names of transactions over several shards that others may ask
-- for by now (finish.lua).
include 'lib/store'
local I, Y = P .. 'intents', P .. 'decided'
local names = {'ok'}
for _, set in ipairs({I, Y}) do
  for _, txn in ipairs(call('HKEYS', set)) do
    if tonumber(string.match(txn, '(%d+)%-%d+$')) <= now then
      names[#names + 1] = txn
    end
  end
end
return names
