-- Claims: `claims` has `<token> <ms>` for a key, which holds until
-- that time. Without any, `held` is 0 and nobody looks for one.
local function release(key)
  if call('HDEL', L, key) == 1 and call('EXISTS', L) == 0 and
     m[HELD] ~= SCRIPT_FOREVER then
    call('HSET', M, 'held', '0')
  end
end
-- Whether the claim `h` holds and is another one's; and its token.
local function foreign(h, mine)
  if not h then return false end
  local token, till = string.match(h, '^(%S+) (%d+)$')
  return token ~= mine and tonumber(till) > now, token
end
