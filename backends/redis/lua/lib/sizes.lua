-- The sizes of a row that `sum` of meta counts: bytes of its decoded value, and
-- of the value as core/kv/row.h stores it. `words` is the line from the type
-- on.
--
-- An INTEGER is stored as a zigzag varint. Numbers of 2^48 or more are compared
-- as texts, because Lua's numbers are exact only up to 2^53.
local function integer_bytes(text)
  local n = tonumber(text) or 0
  if n < 0 then n = -n - 1 end
  if n < 2^48 then
    local bytes = 1
    while n >= 64 do
      n = n / 128
      bytes = bytes + 1
    end
    return bytes
  end
  local minus, digits = string.match(text, '^(%-?)(%d+)$')
  if not digits then return 10 end
  local function below(limit)
    if #digits ~= #limit then return #digits < #limit end
    return digits < limit or minus == '-' and digits == limit
  end
  return below('36028797018963968') and 8 or below('4611686018427387904') and 9
    or 10
end
local function sizes(words, value)
  local kind = string.sub(words, 1, 1)
  if kind == 'i' then return 8, integer_bytes(value) end
  if kind == 'r' then return 8, 8 end
  local size = string.find(words, ' c', 1, true) and
    string.match(words, '^[%w %-]* s(%d+)')
  return tonumber(size) or #value, #value
end
-- The same for a stored row; its value begins at `at`, and `codec` is '' or has
-- the size.
local function sizes_then(kind, codec, row, at)
  if kind == 'i' then return 8, integer_bytes(string.sub(row, at)) end
  if kind == 'r' then return 8, 8 end
  local stored = #row - at + 1
  if codec == '' then return stored, stored end
  return tonumber(string.match(codec, 's(%d+)')) or stored, stored
end
-- `sum` of meta as numbers, or nil.
local function sum_of(text)
  local k, v, s = string.match(text or '', '^(%d+) (%d+) (%d+)$')
  if k then return {tonumber(k), tonumber(v), tonumber(s)} end
end
local function sum_text(k, v, s)
  return string.format('%.0f %.0f %.0f', k, v, s)
end
