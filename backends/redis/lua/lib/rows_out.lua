-- For the scripts that return rows: {'page', version, generation, place to go
-- on or false, then key and row of each}. With `only_keys` the row's line
-- suffices, and part of the value may follow. The scripts change nothing, so
-- replicas can run them.
include 'lib/reader'
include 'lib/line'
include 'lib/odd'
local back = order_of ~= ''
local out, rows, bytes = {'page', ver, gen, false}, 0, 0
-- As long as rows are small, one command reads several, which takes the server
-- a quarter of the time: twice as many as the last one, up to 16. After a large
-- row only a part of the next one is read. `lost`: a message, once a key of
-- the index has no row.
local PART, R = 1024, B .. 'r:'
local small, many, lost = false, 1, nil
local function absent(key)
  lost = lost or odd(R .. key, 'string')
  return ''
end
local function begin_of(key)
  local ok, text = pcall(call, 'GETRANGE', R .. key, 0, PART - 1)
  if not ok then return absent(key) end
  small = #text < PART
  if small or string.find(text, '\n', 1, true) then return text end
  return line_of(key) .. '\n'
end
-- The rows of at most `most` keys from number i on, and whether they are whole;
-- if not, they are at least their lines. '' stands for a missing row.
local function read(keys, i, most)
  many = small and math.min(2 * many, 16, most) or 1
  if many == 1 then
    local text = begin_of(keys[i])
    return {text}, small
  end
  local names = {}
  for k = 1, many do names[k] = R .. keys[i + k - 1] end
  local texts = call('MGET', unpack(names))
  for k = 1, many do
    texts[k] = texts[k] or absent(keys[i + k - 1])
    small = small and #texts[k] < PART
  end
  return texts, true
end
local function emit(key, text, whole)
  if not whole and not only_keys then text = call('GET', R .. key) end
  local n = #out
  out[n + 1], out[n + 2] = key, text
  rows = rows + 1
  bytes = bytes + #key + #text
end
