-- The values of these names, read by one command: a text or false each. A key
-- of another type is an error.
local function rows_of(names)
  local rows, none = call('MGET', unpack(names)), {}
  for j = 1, #names do
    if not rows[j] then none[#none + 1] = names[j] end
  end
  if #none > 0 and call('EXISTS', unpack(none)) > 0 then
    for _, name in ipairs(none) do call('GET', name) end
  end
  return rows
end
