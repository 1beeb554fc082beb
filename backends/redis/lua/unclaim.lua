-- unclaim.lua - releases the claims of this token on the keys.
local token = ARGV[1] -- and behind it, keys
include 'lib/store'
include 'lib/claims'
for i = 2, #ARGV do
  local h = call('HGET', L, ARGV[i])
  if h and string.match(h, '^(%S+) ') == token then release(ARGV[i]) end
end
return {'ok'}
