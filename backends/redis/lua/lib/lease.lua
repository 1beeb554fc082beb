-- `lease` of `meta`: whose it is, its token, and until when. Whoever writes has
-- to have it; a new holder gets a new token, so that one who was frozen and
-- wakes up is known to be late.
local lease = call('HGET', M, 'lease')
local owner, token, till = '', '0', 0
if lease then
  owner, token, till = string.match(lease, '^(%S+) (%d+) (%d+)$')
  till = tonumber(till)
end
