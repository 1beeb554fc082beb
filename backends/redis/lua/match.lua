-- match.lua - rows by tags.
--
-- lower upper  bounds as for ZRANGEBYLEX
-- order_of     'r' for descending keys, or ''
-- wanted       stops after so many rows,
-- looks        or after so many keys that were examined,
-- enough       or after so many bytes
-- only_keys    'k' for keys alone, or ''
-- then the expression, operator first: 't' tag, 'p' prefix, or '&' '|' '!'
-- and the number of operands
--
-- Returns what lib/rows_out.lua says.
--
-- The search walks sets of tags if it can: for an AND, those of the operand
-- with the fewest rows. The rest of the expression is checked for each key.
local wanted_gen, order_of, lower, upper = unpack(ARGV, 1, 4)
local wanted, looks, enough = ARGV[5] + 0, ARGV[6] + 0, ARGV[7] + 0
local only_keys = ARGV[8] ~= ''
local at = 9 -- in the expression
include 'lib/rows_out'
include 'lib/list'
include 'lib/tags_of'
local function parse()
  local x = {op = ARGV[at]}
  at = at + 2
  if x.op == 't' or x.op == 'p' then
    x.text = ARGV[at - 1]
  else
    for i = 1, tonumber(ARGV[at - 1]) do x[i] = parse() end
  end
  return x
end
local function beyond(text)
  local head = string.match(text, '^(.-)\255*$')
  if head == '' then return '+' end
  return '(' .. string.sub(head, 1, -2) ..
    string.char(string.byte(head, -1) + 1)
end
local function size(tag)
  local n = call('ZCARD', B .. 't:' .. tag)
  if n == 0 and call('ZSCORE', G, tag) then
    lost = missing(B .. 't:' .. tag)
  end
  return n
end
local function weigh(x)
  if x.op == 't' then
    x.cost = size(x.text)
  elseif x.op == 'p' then
    x.names = call('ZRANGEBYLEX', G, '[' .. x.text, beyond(x.text),
                   'LIMIT', 0, 257)
    if #x.names <= 256 then
      x.cost = 0
      for _, t in ipairs(x.names) do x.cost = x.cost + size(t) end
    end
  elseif x.op == '!' then
    weigh(x[1])
  else
    local all, least = 0, nil
    for _, y in ipairs(x) do
      weigh(y)
      all = all and y.cost and all + y.cost
      if y.cost and (not least or y.cost < least.cost) then least = y end
    end
    if x.op == '|' then
      x.cost = all
    elseif least then
      x.cost, x.least = least.cost, least
    end
  end
end
local function collect(x, into)
  if x.op == 't' then
    into[#into + 1] = B .. 't:' .. x.text
  elseif x.op == 'p' then
    for _, t in ipairs(x.names) do into[#into + 1] = B .. 't:' .. t end
  elseif x.op == '&' then
    collect(x.least, into)
  else
    for _, y in ipairs(x) do collect(y, into) end
  end
end
local function simple(x)
  if x.op == '|' then
    for _, y in ipairs(x) do if not simple(y) then return false end end
    return true
  end
  return x.op == 't' or x.op == 'p'
end
local function holds(x, tags)
  if x.op == 't' then return tags[x.text] ~= nil end
  if x.op == '!' then return not holds(x[1], tags) end
  if x.op == 'p' then
    for t in pairs(tags) do
      if string.sub(t, 1, #x.text) == x.text then return true end
    end
    return false
  end
  for _, y in ipairs(x) do
    if holds(y, tags) ~= (x.op == '&') then return x.op == '|' end
  end
  return x.op == '&'
end

-- The sets to walk (`sets`), and the conditions: `asks`, at most 8 sets that
-- must or must not contain the key, which are cheap to check, and `rest`, terms
-- that need the row's tags.
local root = parse()
weigh(root)
if lost then return {'corrupt', lost} end
local terms = root.op == '&' and root or {root}
local driver = root.op == '&' and root.least or (root.cost and root) or nil
local sets = {}
if driver then collect(driver, sets) end
if not driver or (#sets > 1 and driver.cost > 2 * call('ZCARD', K)) then
  driver, sets = nil, {K}
end
local asks, rest = {}, {}
for _, x in ipairs(terms) do
  local y = x.op == '!' and x[1] or x
  if x == driver and simple(x) then
    y = nil
  elseif y.op == 't' and #asks < 8 then
    asks[#asks + 1] = {set = B .. 't:' .. y.text, want = x == y}
  else
    rest[#rest + 1] = x
  end
end

-- Sorts keys of several sets. The six bytes after the common prefix, as a
-- number, decide most comparisons.
include 'lib/less'
local function order(keys)
  local p, rank = #keys[1], {}
  for _, key in ipairs(keys) do
    while string.sub(key, 1, p) ~= string.sub(keys[1], 1, p) do
      p = math.floor(p / 2)
    end
  end
  for _, key in ipairs(keys) do
    local n = 0
    for i = p + 1, p + 6 do n = n * 256 + (string.byte(key, i) or 0) end
    rank[key] = n
  end
  table.sort(keys, function(a, b)
    local x, y = rank[a], rank[b]
    if x == y then
      if back then return lt(b, a) end
      return lt(a, b)
    end
    if back then return x > y end
    return x < y
  end)
end
local lo, hi = lower, upper
local function range(set, n)
  if back then return call('ZREVRANGEBYLEX', set, hi, lo, 'LIMIT', 0, n) end
  return call('ZRANGEBYLEX', set, lo, hi, 'LIMIT', 0, n)
end

-- About n of the next keys of all sets together; and true if there are no more.
-- A set that has returned as many keys as requested may have more after its
-- last one, so keys beyond that one must wait for the next call.
local function take(n)
  if #sets == 0 then return {}, true end
  if #sets == 1 then
    local keys = range(sets[1], n)
    return keys, #keys < n
  end
  local each = math.max(math.ceil(2 * n / #sets), 4)
  local seen, keys, ends = {}, {}, {}
  for _, set in ipairs(sets) do
    local some = range(set, each)
    for _, key in ipairs(some) do
      if not seen[key] then
        seen[key] = true
        keys[#keys + 1] = key
      end
    end
    if #some == each then ends[some[each]] = true end
  end
  if #keys == 0 then return keys, true end
  order(keys)
  for i, key in ipairs(keys) do
    if ends[key] then
      for j = #keys, i + 1, -1 do keys[j] = nil end
      return keys, false
    end
  end
  return keys, true
end

local function fits(text)
  local tags = {}
  for _, t in ipairs(list(tags_of(text))) do tags[t] = true end
  for _, x in ipairs(rest) do
    if not holds(x, tags) then return false end
  end
  return true
end

-- The keys for which all of `asks` hold. Of many sets there may be more keys
-- than unpack() can take.
local PIECE = 4000
local function sieve(keys)
  for _, ask in ipairs(asks) do
    local left = {}
    for from = 1, #keys, PIECE do
      local last = math.min(from + PIECE - 1, #keys)
      local scores = call('ZMSCORE', ask.set, unpack(keys, from, last))
      for j = from, last do
        local is = scores[j - from + 1] and true or false
        if is == ask.want then left[#left + 1] = keys[j] end
      end
    end
    keys = left
  end
  return keys
end
local looked = 0
local step = #asks + #rest == 0 and wanted or math.max(2 * wanted, 8)
while true do
  local keys, last = take(step)
  local left, i = sieve(keys), 1
  while i <= #left do
    local texts, whole = read(left, i, math.min(#left - i + 1, wanted - rows))
    if lost then return {'corrupt', lost} end
    for k, text in ipairs(texts) do
      if text ~= '' and (#rest == 0 or fits(text)) then
        emit(left[i + k - 1], text, whole)
      end
    end
    i = i + #texts
    if rows >= wanted or bytes >= enough then
      out[4] = (left[i - 1] ~= keys[#keys] or not last) and left[i - 1]
      return out
    end
  end
  out[4] = not last and keys[#keys]
  looked = looked + #keys
  if last or looked >= looks then return out end
  if back then hi = '(' .. out[4] else lo = '(' .. out[4] end
  -- As many as have the rest of the rows, if these are as frequent as so far.
  local more = rows == 0 and 4 * step or (wanted - rows) * looked / rows * 1.2
  step = math.max(8, math.min(math.ceil(more), 4 * step, 1000))
end
