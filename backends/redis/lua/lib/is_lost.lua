-- True if `meta` is gone although other keys show that there was a store: a new
-- store must not begin beside them.
local function is_lost()
  if ver > 0 then return false end
  for _, name in ipairs({P .. '0:keys', C, D, P .. 'intents'}) do
    if call('EXISTS', name) == 1 then return true end
  end
  return call('EXISTS', M) == 0 and call('PTTL', R) == -1
end
