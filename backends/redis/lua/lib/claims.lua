-- `claims` has `<token> <ms>` for a key: the claim holds until that time. If
-- there are none, `held` is 0 and `claims` is not read.
local function release(key)
  if call('HDEL', L, key) == 1 and call('EXISTS', L) == 0 and
     m[HELD] ~= SCRIPT_FOREVER then
    call('HSET', M, 'held', '0')
  end
end
-- True if the claim `h` holds and has another token than `mine`; and its token.
local function foreign(h, mine)
  if not h then return false end
  local token, till = string.match(h, '^(%S+) (%d+)$')
  return token ~= mine and tonumber(till) > now, token
end
