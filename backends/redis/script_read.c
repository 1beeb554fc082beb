/* script_read.c - the scripts that read by index: rows by tags, counts of tags,
 * keys by expiry. They change nothing, so that a replica can run them.
 *
 * ARGV: 1 the generation, or '' for the present one. They answer {'page',
 * version, generation, where to go on or false, ..}. */
#include "script_lua.h"

#define LUA_READ                                                               \
    LUA_LAYOUT                                                                 \
    "if ARGV[1] ~= '' then generation(ARGV[1]) end\n"                          \
    "local back = ARGV[2] ~= ''\n"                                             \
    "local out = {'page', str(ver), gen, false}\n"

/* --- rows by tags ---
 *
 * ARGV: 2 'r' for falling keys or '', 3 lower and 4 upper bound as ZRANGEBYLEX
 * has them, 5 rows at most, 6 keys to look at at most, 7 bytes after which it
 * is enough, 8 'k' for keys alone or '', 9.. the expression, operator first:
 * 't' tag, 'p' prefix, '&' '|' '!' number of operands.
 *
 * Behind the place where to go on: key, value, meta, tags of each row.
 *
 * What can be found through tags at all, is: of an AND, through the operand
 * with the fewest rows. The rest of the expression decides about each. */
#define LUA_TREE                                                               \
    "local at = 9\n"                                                           \
    "local function parse()\n"                                                 \
    "  local x = {op = ARGV[at]}\n"                                            \
    "  at = at + 2\n"                                                          \
    "  if x.op == 't' or x.op == 'p' then\n"                                   \
    "    x.text = ARGV[at - 1]\n"                                              \
    "  else\n"                                                                 \
    "    for i = 1, tonumber(ARGV[at - 1]) do x[i] = parse() end\n"            \
    "  end\n"                                                                  \
    "  return x\n"                                                             \
    "end\n"                                                                    \
    "local function beyond(text)\n"                                            \
    "  local head = string.match(text, '^(.-)\\255*$')\n"                      \
    "  if head == '' then return '+' end\n"                                    \
    "  return '(' .. string.sub(head, 1, -2) ..\n"                             \
    "    string.char(string.byte(head, -1) + 1)\n"                             \
    "end\n"                                                                    \
    "local function size(tag) return call('ZCARD', B .. 't:' .. tag) end\n"    \
    "local function weigh(x)\n"                                                \
    "  if x.op == 't' then\n"                                                  \
    "    x.cost = size(x.text)\n"                                              \
    "  elseif x.op == 'p' then\n"                                              \
    "    x.names = call('ZRANGEBYLEX', G, '[' .. x.text, beyond(x.text),\n"    \
    "                   'LIMIT', 0, 257)\n"                                    \
    "    if #x.names <= 256 then\n"                                            \
    "      x.cost = 0\n"                                                       \
    "      for _, t in ipairs(x.names) do x.cost = x.cost + size(t) end\n"     \
    "    end\n"                                                                \
    "  elseif x.op ~= '!' then\n"                                              \
    "    local all, least = 0, nil\n"                                          \
    "    for _, y in ipairs(x) do\n"                                           \
    "      weigh(y)\n"                                                         \
    "      all = all and y.cost and all + y.cost\n"                            \
    "      if y.cost and (not least or y.cost < least.cost) then least = y "   \
    "end\n"                                                                    \
    "    end\n"                                                                \
    "    if x.op == '|' then\n"                                                \
    "      x.cost = all\n"                                                     \
    "    elseif least then\n"                                                  \
    "      x.cost, x.least = least.cost, least\n"                              \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function collect(x, into)\n"                                        \
    "  if x.op == 't' then\n"                                                  \
    "    into[#into + 1] = B .. 't:' .. x.text\n"                              \
    "  elseif x.op == 'p' then\n"                                              \
    "    for _, t in ipairs(x.names) do into[#into + 1] = B .. 't:' .. t "     \
    "end\n"                                                                    \
    "  elseif x.op == '&' then\n"                                              \
    "    collect(x.least, into)\n"                                             \
    "  else\n"                                                                 \
    "    for _, y in ipairs(x) do collect(y, into) end\n"                      \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function simple(x)\n"                                               \
    "  if x.op == '|' then\n"                                                  \
    "    for _, y in ipairs(x) do if not simple(y) then return false end "     \
    "end\n"                                                                    \
    "    return true\n"                                                        \
    "  end\n"                                                                  \
    "  return x.op == 't' or x.op == 'p'\n"                                    \
    "end\n"                                                                    \
    "local function holds(x, tags)\n"                                          \
    "  if x.op == 't' then return tags[x.text] ~= nil end\n"                   \
    "  if x.op == '!' then return not holds(x[1], tags) end\n"                 \
    "  if x.op == 'p' then\n"                                                  \
    "    for t in pairs(tags) do\n"                                            \
    "      if string.sub(t, 1, #x.text) == x.text then return true end\n"      \
    "    end\n"                                                                \
    "    return false\n"                                                       \
    "  end\n"                                                                  \
    "  for _, y in ipairs(x) do\n"                                             \
    "    if holds(y, tags) ~= (x.op == '&') then return x.op == '|' end\n"     \
    "  end\n"                                                                  \
    "  return x.op == '&'\n"                                                   \
    "end\n"

/* What to walk, and what decides: at most 8 sets that a key must or must not
 * be in, which are cheap to ask, and terms that need the row's tags. */
#define LUA_PLAN                                                               \
    "local root = parse()\n"                                                   \
    "weigh(root)\n"                                                            \
    "local terms = root.op == '&' and root or {root}\n"                        \
    "local driver = root.op == '&' and root.least or (root.cost and root) or " \
    "nil\n"                                                                    \
    "local sets = {}\n"                                                        \
    "if driver then collect(driver, sets) end\n"                               \
    "if not driver or (#sets > 1 and driver.cost > 2 * call('ZCARD', K)) "     \
    "then\n"                                                                   \
    "  driver, sets = nil, {K}\n"                                              \
    "end\n"                                                                    \
    "local asks, rest = {}, {}\n"                                              \
    "for _, x in ipairs(terms) do\n"                                           \
    "  local y = x.op == '!' and x[1] or x\n"                                  \
    "  if x == driver and simple(x) then\n"                                    \
    "    y = nil\n"                                                            \
    "  elseif y.op == 't' and #asks < 8 then\n"                                \
    "    asks[#asks + 1] = {set = B .. 't:' .. y.text, want = x == y}\n"       \
    "  else\n"                                                                 \
    "    rest[#rest + 1] = x\n"                                                \
    "  end\n"                                                                  \
    "end\n"

/* Keys of several sets in one order. A number of the bytes behind what all have
 * in common decides most comparisons. */
#define LUA_ORDER                                                              \
    LUA_LESS                                                                   \
    "local function order(keys)\n"                                             \
    "  local p, rank = #keys[1], {}\n"                                         \
    "  for _, key in ipairs(keys) do\n"                                        \
    "    while string.sub(key, 1, p) ~= string.sub(keys[1], 1, p) do\n"        \
    "      p = math.floor(p / 2)\n"                                            \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "  for _, key in ipairs(keys) do\n"                                        \
    "    local n = 0\n"                                                        \
    "    for i = p + 1, p + 6 do n = n * 256 + (string.byte(key, i) or 0) "    \
    "end\n"                                                                    \
    "    rank[key] = n\n"                                                      \
    "  end\n"                                                                  \
    "  table.sort(keys, function(a, b)\n"                                      \
    "    local x, y = rank[a], rank[b]\n"                                      \
    "    if x == y then\n"                                                     \
    "      if back then return lt(b, a) end\n"                                 \
    "      return lt(a, b)\n"                                                  \
    "    end\n"                                                                \
    "    if back then return x > y end\n"                                      \
    "    return x < y\n"                                                       \
    "  end)\n"                                                                 \
    "end\n"                                                                    \
    "local lo, hi = ARGV[3], ARGV[4]\n"                                        \
    "local function range(set, n)\n"                                           \
    "  if back then return call('ZREVRANGEBYLEX', set, hi, lo, 'LIMIT', 0, "   \
    "n) end\n"                                                                 \
    "  return call('ZRANGEBYLEX', set, lo, hi, 'LIMIT', 0, n)\n"               \
    "end\n"

/* About n of the next keys of all sets together; whether these are the last. A
 * set that has given all it was asked for may have more behind its last key,
 * so that nothing beyond it is certain yet. */
#define LUA_TAKE                                                               \
    "local function take(n)\n"                                                 \
    "  if #sets == 0 then return {}, true end\n"                               \
    "  if #sets == 1 then\n"                                                   \
    "    local keys = range(sets[1], n)\n"                                     \
    "    return keys, #keys < n\n"                                             \
    "  end\n"                                                                  \
    "  local each = math.max(math.ceil(2 * n / #sets), 4)\n"                   \
    "  local seen, keys, ends = {}, {}, {}\n"                                  \
    "  for _, set in ipairs(sets) do\n"                                        \
    "    local some = range(set, each)\n"                                      \
    "    for _, key in ipairs(some) do\n"                                      \
    "      if not seen[key] then\n"                                            \
    "        seen[key] = true\n"                                               \
    "        keys[#keys + 1] = key\n"                                          \
    "      end\n"                                                              \
    "    end\n"                                                                \
    "    if #some == each then ends[some[each]] = true end\n"                  \
    "  end\n"                                                                  \
    "  if #keys == 0 then return keys, true end\n"                             \
    "  order(keys)\n"                                                          \
    "  for i, key in ipairs(keys) do\n"                                        \
    "    if ends[key] then\n"                                                  \
    "      for j = #keys, i + 1, -1 do keys[j] = nil end\n"                    \
    "      return keys, false\n"                                               \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "  return keys, true\n"                                                    \
    "end\n"

#define LUA_MATCH                                                              \
    "local wanted, looks = tonumber(ARGV[5]), tonumber(ARGV[6])\n"             \
    "local enough, only_keys = tonumber(ARGV[7]), ARGV[8] ~= ''\n"             \
    "local rows, bytes, looked = 0, 0, 0\n"                                    \
    "local step = math.max(wanted, 32)\n"                                      \
    "local function wants(key)\n"                                              \
    "  if #rest == 0 then return true end\n"                                   \
    "  local tags = {}\n"                                                      \
    "  for _, t in ipairs(list(call('HGET', B .. 'r:' .. key, 'tags'))) do\n"  \
    "    tags[t] = true\n"                                                     \
    "  end\n"                                                                  \
    "  for _, x in ipairs(rest) do\n"                                          \
    "    if not holds(x, tags) then return false end\n"                        \
    "  end\n"                                                                  \
    "  return true\n"                                                          \
    "end\n"                                                                    \
    "local function emit(key)\n"                                               \
    "  local r\n"                                                              \
    "  if only_keys then\n"                                                    \
    "    r = call('HMGET', B .. 'r:' .. key, 'meta', 'tags')\n"                \
    "    r = {'', r[1], r[2]}\n"                                               \
    "  else\n"                                                                 \
    "    r = call('HMGET', B .. 'r:' .. key, 'value', 'meta', 'tags')\n"       \
    "  end\n"                                                                  \
    "  if not r[2] then return end\n"                                          \
    "  local n = #out\n"                                                       \
    "  out[n + 1], out[n + 2], out[n + 3], out[n + 4] = key, r[1], r[2], "     \
    "r[3]\n"                                                                   \
    "  rows = rows + 1\n"                                                      \
    "  bytes = bytes + #key + #(r[1] or '')\n"                                 \
    "end\n"                                                                    \
    "while rows < wanted and looked < looks and bytes < enough do\n"           \
    "  local keys, last = take(step)\n"                                        \
    "  local scores = {}\n"                                                    \
    "  for i, ask in ipairs(asks) do\n"                                        \
    "    if #keys > 0 then\n"                                                  \
    "      scores[i] = call('ZMSCORE', ask.set, unpack(keys))\n"               \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "  for j, key in ipairs(keys) do\n"                                        \
    "    local good = true\n"                                                  \
    "    for i, ask in ipairs(asks) do\n"                                      \
    "      if (scores[i][j] and true or false) ~= ask.want then\n"             \
    "        good = false\n"                                                   \
    "        break\n"                                                          \
    "      end\n"                                                              \
    "    end\n"                                                                \
    "    if good and wants(key) then\n"                                        \
    "      emit(key)\n"                                                        \
    "      if rows >= wanted or bytes >= enough then\n"                        \
    "        out[4] = (j < #keys or not last) and key\n"                       \
    "        return out\n"                                                     \
    "      end\n"                                                              \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "  out[4] = not last and keys[#keys]\n"                                    \
    "  if last then return out end\n"                                          \
    "  if back then hi = '(' .. out[4] else lo = '(' .. out[4] end\n"          \
    "  looked = looked + #keys\n"                                              \
    "  step = math.min(2 * step, 1000)\n"                                      \
    "end\n"                                                                    \
    "return out\n"

const char script_match[] = LUA_BASE LUA_NAMES LUA_TAGS LUA_READ LUA_TREE
    LUA_PLAN LUA_ORDER LUA_TAKE LUA_MATCH;

/* --- counts of tags ---
 *
 * ARGV: 2 'r' for falling names or '', 3 lower and 4 upper bound, 5 tags at
 * most, 6 the time in ms as the client has it, 7 'all' or ''. A set counts its
 * members; those that have expired, but were not removed yet, do not count. If
 * they are very many the answer is {'sweep'}, unless 'all' is asked for.
 *
 * Behind the place where to go on: tag and count, without those of none. */
#define LUA_COUNTS                                                             \
    "local late = math.max(now, tonumber(ARGV[6]) + 1)\n"                      \
    "local minus = {}\n"                                                       \
    "if m[5] and m[5] ~= '' and tonumber(m[5]) < late then\n"                  \
    "  local most = ARGV[7] ~= '' and -1 or 10001\n"                           \
    "  local gone = call('ZRANGEBYSCORE', X, '-inf', '(' .. str(late),\n"      \
    "                    'LIMIT', 0, most)\n"                                  \
    "  if #gone == 10001 and most > 0 then return {'sweep'} end\n"             \
    "  for _, key in ipairs(gone) do\n"                                        \
    "    for _, t in ipairs(list(call('HGET', E, key))) do\n"                  \
    "      minus[t] = (minus[t] or 0) + 1\n"                                   \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local most = tonumber(ARGV[5])\n"                                         \
    "local names\n"                                                            \
    "if back then\n"                                                           \
    "  names = call('ZREVRANGEBYLEX', G, ARGV[4], ARGV[3], 'LIMIT', 0, "       \
    "most)\n"                                                                  \
    "else\n"                                                                   \
    "  names = call('ZRANGEBYLEX', G, ARGV[3], ARGV[4], 'LIMIT', 0, most)\n"   \
    "end\n"                                                                    \
    "for _, t in ipairs(names) do\n"                                           \
    "  local n = call('ZCARD', B .. 't:' .. t) - (minus[t] or 0)\n"            \
    "  if n > 0 then\n"                                                        \
    "    out[#out + 1] = t\n"                                                  \
    "    out[#out + 1] = str(n)\n"                                             \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "if #names == most then out[4] = names[most] end\n"                        \
    "return out\n"

const char script_tags[] = LUA_BASE LUA_NAMES LUA_TAGS LUA_READ LUA_COUNTS;

/* --- keys by expiry ---
 *
 * ARGV: 2 'r' for falling order or '', 3 time in ms where to begin or '', 4 key
 * there, 5 'x' to leave out that very entry or '', 6 entries at most.
 *
 * Behind the place where to go on, which is true: key and time. */
#define LUA_EXPIRY                                                             \
    "local most = tonumber(ARGV[6])\n" LUA_LESS "local function first(skip)\n" \
    "  local low = call('ZCOUNT', X, '-inf', '(' .. ARGV[3])\n"                \
    "  local high = call('ZCOUNT', X, '-inf', ARGV[3])\n"                      \
    "  while low < high do\n"                                                  \
    "    local middle = math.floor((low + high) / 2)\n"                        \
    "    local key = call('ZRANGE', X, middle, middle)[1]\n"                   \
    "    if lt(key, ARGV[4]) or (skip and key == ARGV[4]) then\n"              \
    "      low = middle + 1\n"                                                 \
    "    else\n"                                                               \
    "      high = middle\n"                                                    \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "  return low\n"                                                           \
    "end\n"                                                                    \
    "local list\n"                                                             \
    "if back then\n"                                                           \
    "  local stop = call('ZCARD', X)\n"                                        \
    "  if ARGV[3] ~= '' then stop = first(ARGV[5] == '') end\n"                \
    "  list = stop > 0 and call('ZRANGE', X, math.max(stop - most, 0), stop "  \
    "- 1,\n"                                                                   \
    "                           'WITHSCORES') or {}\n"                         \
    "  for i = #list - 1, 1, -2 do\n"                                          \
    "    out[#out + 1] = list[i]\n"                                            \
    "    out[#out + 1] = list[i + 1]\n"                                        \
    "  end\n"                                                                  \
    "else\n"                                                                   \
    "  local start = ARGV[3] ~= '' and first(ARGV[5] ~= '') or 0\n"            \
    "  list = call('ZRANGE', X, start, start + most - 1, 'WITHSCORES')\n"      \
    "  for i = 1, #list do out[#out + 1] = list[i] end\n"                      \
    "end\n"                                                                    \
    "if #list == 2 * most then out[4] = '1' end\n"                             \
    "return out\n"

const char script_expiry[] = LUA_BASE LUA_NAMES LUA_READ LUA_EXPIRY;
