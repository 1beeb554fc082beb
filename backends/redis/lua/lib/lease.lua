-- `lease` of `meta` is `<owner> <token> <till>`. Until `till`, only the owner
-- may write. Each new owner gets a new token, by which a delayed call of an
-- earlier owner is recognised.
local lease = call('HGET', M, 'lease')
local owner, token, till = '', '0', 0
if lease then
  owner, token, till = string.match(lease, '^(%S+) (%d+) (%d+)$')
  till = tonumber(till)
end
