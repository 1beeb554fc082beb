/* script.c - the scripts' texts, and see script.h.
 *
 * In Lua here: strings are compared with lt(), because `<` goes by the locale
 * of the server; versions are numbers up to 2^53 and turned into text with
 * str(), because tostring() rounds. A version is one more than the one before,
 * the first the server's time in microseconds: a server that has lost its data
 * does not give a version twice. */
#include "script.h"

/* --- what several have in common --- */

#define LUA_BASE                                                               \
    "local P, M, call = ARGV[1], KEYS[1], redis.call\n"                        \
    "local function str(n) return string.format('%.0f', n) end\n"              \
    "local T = call('TIME')\n"                                                 \
    "local now = T[1] * 1000 + math.floor(T[2] / 1000)\n"                      \
    "local m = call('HMGET', M, 'ver', 'gen', 'floor')\n"                      \
    "local ver, gen = tonumber(m[1] or 0), m[2] or '0'\n"                      \
    "local floor = tonumber(m[3] or 0)\n"                                      \
    "local B = P .. gen .. ':'\n"                                              \
    "local K, X = B .. 'keys', B .. 'expiry'\n"                                \
    "local C, L = P .. 'changes', P .. 'claims'\n"                             \
    "local D = P .. 'dead'\n"

/* ARGV: 2 writer, 3 number, 4 deadline. What a writer did last is kept for an
 * hour: asking comes within seconds. */
#define LUA_GUARD                                                              \
    "local W = P .. 'writer:' .. ARGV[2]\n"                                    \
    "if now > tonumber(ARGV[4]) then return {'late'} end\n"                    \
    "local w = call('GET', W)\n"                                               \
    "if w and tonumber(string.match(w, '^%d+')) >= tonumber(ARGV[3]) then\n"   \
    "  return {'again'}\n"                                                     \
    "end\n"                                                                    \
    "local function done()\n"                                                  \
    "  call('SET', W, ARGV[3] .. ' ok ' .. str(ver), 'PX', 3600000)\n"         \
    "end\n"                                                                    \
    "local function next_version()\n"                                          \
    "  if ver == 0 then\n"                                                     \
    "    ver = T[1] * 1000000 + T[2]\n"                                        \
    "    floor = ver\n"                                                        \
    "    call('HSET', M, 'ver', str(ver), 'floor', str(ver))\n"                \
    "  else\n"                                                                 \
    "    ver = ver + 1\n"                                                      \
    "    call('HSET', M, 'ver', str(ver))\n"                                   \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function forget_changes()\n"                                        \
    "  floor = ver\n"                                                          \
    "  call('HSET', M, 'floor', str(ver))\n"                                   \
    "  call('DEL', C)\n"                                                       \
    "end\n"

/* Makes the row of `key` what the arguments say. `old` is {meta, value, tags}
 * of the row that is there, or false; `exp` is '' for ever. `hasx`: the store
 * has keys that expire. */
#define LUA_PUT                                                                \
    "local function put(key, old, value, meta, tags, exp, hasx)\n"             \
    "  local r = B .. 'r:' .. key\n"                                           \
    "  if tags then\n"                                                         \
    "    call('HSET', r, 'value', value, 'meta', meta, 'tags', tags)\n"        \
    "  else\n"                                                                 \
    "    call('HSET', r, 'value', value, 'meta', meta)\n"                      \
    "    if old and old[3] then call('HDEL', r, 'tags') end\n"                 \
    "  end\n"                                                                  \
    "  if not old then call('ZADD', K, 0, key) end\n"                          \
    "  if exp ~= '' then\n"                                                    \
    "    call('ZADD', X, exp, key)\n"                                          \
    "    call('PEXPIREAT', r, exp)\n"                                          \
    "  elseif hasx and call('ZREM', X, key) == 1 then\n"                       \
    "    call('PERSIST', r)\n"                                                 \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function drop(key, hasx)\n"                                         \
    "  call('UNLINK', B .. 'r:' .. key)\n"                                     \
    "  call('ZREM', K, key)\n"                                                 \
    "  if hasx then call('ZREM', X, key) end\n"                                \
    "end\n"

/* --- commit ---
 *
 * ARGV: 5 version that the view saw ('' = it has read nothing), 6 flags (c
 * clear first, a everything was read, d nothing but deletes), 7 claim, 8 its
 * key, 9 number of keys read, 10 of ranges, 11 of changes, 12 versions that
 * do not count as changes, with a comma around each; keys; lo and hi of each
 * range ('' = open); changes: 'p' key value rest-of-meta tags expiry, or 'd'
 * key.
 *
 * Answers {'ok', version, generation before a clear or false, rows that were
 * there before, version before}, {'conflict', key}, {'claimed', key},
 * {'late'}, {'again'}. */

/* A key has changed when the log of changes says so; for views older than the
 * log, when its row is younger than the view, or is not there (it may have
 * been). A view of version 0 saw an empty store. */
#define LUA_CONFLICTS                                                          \
    "local seq = tonumber(ARGV[5])\n"                                          \
    "local flags = ARGV[6]\n"                                                  \
    "local at = 13\n"                                                          \
    "local ranges = at + tonumber(ARGV[9])\n"                                  \
    "local changes = ranges + 2 * tonumber(ARGV[10])\n"                        \
    "local n = tonumber(ARGV[11])\n"                                           \
    "local function lt(a, b)\n"                                                \
    "  local same = math.min(#a, #b)\n"                                        \
    "  for i = 1, same do\n"                                                   \
    "    local x, y = string.byte(a, i), string.byte(b, i)\n"                  \
    "    if x ~= y then return x < y end\n"                                    \
    "  end\n"                                                                  \
    "  return #a < #b\n"                                                       \
    "end\n"                                                                    \
    "local function after(s)\n"                                                \
    "  return tonumber(s) > seq and\n"                                         \
    "    not string.find(ARGV[12], ',' .. s .. ',', 1, true)\n"                \
    "end\n"                                                                    \
    "local function changed(key)\n"                                            \
    "  if ver ~= 0 and seq >= floor then\n"                                    \
    "    local s = call('ZSCORE', C, key)\n"                                   \
    "    return s and after(s)\n"                                              \
    "  end\n"                                                                  \
    "  local meta = call('HGET', B .. 'r:' .. key, 'meta')\n"                  \
    "  if meta then return after(string.match(meta, '^%d+')) end\n"            \
    "  return seq > 0\n"                                                       \
    "end\n"                                                                    \
    "local function range_changed()\n"                                         \
    "  if ver == 0 or seq < floor then return '' end\n"                        \
    "  local list = call('ZRANGEBYSCORE', C, '(' .. str(seq), '+inf',\n"       \
    "                    'WITHSCORES')\n"                                      \
    "  if #list * (changes - ranges) > 2000000 then return '' end\n"           \
    "  for j = 1, #list, 2 do\n"                                               \
    "    local key = list[j]\n"                                                \
    "    for i = ranges, changes - 1, 2 do\n"                                  \
    "      local hi = ARGV[i + 1]\n"                                           \
    "      if not after(list[j + 1]) then break end\n"                         \
    "      if not lt(key, ARGV[i]) and (hi == '' or lt(key, hi)) then\n"       \
    "        return key\n"                                                     \
    "      end\n"                                                              \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "if seq and ver ~= seq then\n"                                             \
    "  if string.find(flags, 'a') then return {'conflict', ''} end\n"          \
    "  for i = at, ranges - 1 do\n"                                            \
    "    if changed(ARGV[i]) then return {'conflict', ARGV[i]} end\n"          \
    "  end\n"                                                                  \
    "  if changes > ranges then\n"                                             \
    "    local key = range_changed()\n"                                        \
    "    if key then return {'conflict', key} end\n"                           \
    "  end\n"                                                                  \
    "end\n"

/* The rows that will be overwritten, and whether others have claimed them. */
#define LUA_BEFORE                                                             \
    "local old = {}\n"                                                         \
    "local clear = string.find(flags, 'c')\n"                                  \
    "local held = call('EXISTS', L) == 1\n"                                    \
    "local i = changes\n"                                                      \
    "for c = 1, n do\n"                                                        \
    "  local key = ARGV[i + 1]\n"                                              \
    "  local h = held and call('HGET', L, key)\n"                              \
    "  if h then\n"                                                            \
    "    local token, till = string.match(h, '^(%S+) (%d+)$')\n"               \
    "    if token ~= ARGV[7] and tonumber(till) > now then\n"                  \
    "      return {'claimed', key}\n"                                          \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "  old[c] = false\n"                                                       \
    "  if not clear then\n"                                                    \
    "    local r = call('HMGET', B .. 'r:' .. key, 'meta', 'value', 'tags')\n" \
    "    if r[1] then old[c] = r end\n"                                        \
    "  end\n"                                                                  \
    "  i = i + (ARGV[i] == 'p' and 6 or 2)\n"                                  \
    "end\n"                                                                    \
    "call('ZCARD', K)\n"                                                       \
    "local hasx = call('ZCARD', X) > 0\n"                                      \
    "local logged = call('ZCARD', C)\n"                                        \
    "local dead = call('ZRANGEBYSCORE', D, '-inf', now - 60000,\n"             \
    "                  'LIMIT', 0, 1)[1]\n"

/* Deleting must be possible when the server is full: a write that is always
 * allowed comes first, after which the server lets a script finish. */
#define LUA_APPLY                                                              \
    "if string.find(flags, 'd') then call('DEL', P .. 'none') end\n"           \
    "local before = ver\n"                                                     \
    "next_version()\n"                                                         \
    "local v = str(ver)\n"                                                     \
    "local cleared = false\n"                                                  \
    "if clear then\n"                                                          \
    "  cleared = gen\n"                                                        \
    "  call('ZADD', D, now, gen)\n"                                            \
    "  call('HSET', M, 'gen', v)\n"                                            \
    "  B = P .. v .. ':'\n"                                                    \
    "  K, X, hasx = B .. 'keys', B .. 'expiry', false\n"                       \
    "end\n"                                                                    \
    "if clear or n > " SCRIPT_LOG_MAX " then\n"                                \
    "  forget_changes()\n"                                                     \
    "end\n"                                                                    \
    "i = changes\n"                                                            \
    "for c = 1, n do\n"                                                        \
    "  local key, o = ARGV[i + 1], old[c]\n"                                   \
    "  if ARGV[i] == 'p' then\n"                                               \
    "    local new = o and string.match(o[1], '^%d+ (%d+) ') or v\n"           \
    "    local tags, exp = ARGV[i + 4], ARGV[i + 5]\n"                         \
    "    put(key, o, ARGV[i + 2], v .. ' ' .. new .. ' ' .. ARGV[i + 3],\n"    \
    "        tags ~= '' and tags, exp, hasx)\n"                                \
    "    hasx = hasx or exp ~= ''\n"                                           \
    "    i = i + 6\n"                                                          \
    "  else\n"                                                                 \
    "    drop(key, hasx)\n"                                                    \
    "    i = i + 2\n"                                                          \
    "  end\n"                                                                  \
    "  if n <= " SCRIPT_LOG_MAX " then call('ZADD', C, v, key) end\n"          \
    "end\n"

/* Housekeeping, a little with every commit: the log of changes is cut, what
 * the server has expired is taken out of the index, and what an old clear left
 * behind is removed. */
#define LUA_KEEP_HOUSE                                                         \
    "if logged > 1.1 * " SCRIPT_LOG_MAX " and not clear and\n"                 \
    "   n <= " SCRIPT_LOG_MAX " then\n"                                        \
    "  local cut = call('ZCARD', C) - " SCRIPT_LOG_MAX " - 1\n"                \
    "  local last = call('ZRANGE', C, cut, cut, 'WITHSCORES')\n"               \
    "  call('HSET', M, 'floor', str(tonumber(last[2])))\n"                     \
    "  call('ZREMRANGEBYRANK', C, 0, cut)\n"                                   \
    "end\n"                                                                    \
    "if hasx then\n"                                                           \
    "  local gone = call('ZRANGEBYSCORE', X, '-inf', '(' .. now,\n"            \
    "                    'LIMIT', 0, 10)\n"                                    \
    "  for _, key in ipairs(gone) do drop(key, true) end\n"                    \
    "end\n"                                                                    \
    "if dead then\n"                                                           \
    "  local b = P .. dead .. ':'\n"                                           \
    "  local list = call('ZPOPMIN', b .. 'keys', 50)\n"                        \
    "  for j = 1, #list, 2 do call('UNLINK', b .. 'r:' .. list[j]) end\n"      \
    "  if #list == 0 then\n"                                                   \
    "    call('UNLINK', b .. 'expiry')\n"                                      \
    "    call('ZREM', D, dead)\n"                                              \
    "  end\n"                                                                  \
    "end\n"

#define LUA_COMMIT                                                             \
    LUA_BASE LUA_GUARD LUA_PUT LUA_CONFLICTS LUA_BEFORE LUA_APPLY              \
        LUA_KEEP_HOUSE "if ARGV[7] ~= '' then call('HDEL', L, ARGV[8]) end\n"  \
                       "done()\n"                                              \
                       "return {'ok', v, cleared, old, str(before)}\n"

/* --- undo ---
 *
 * ARGV: 5 version to take back, 6 generation before its clear or '', 7 number
 * of changes; each: 'p' or 'd', key, '1' and meta, value, tags, expiry of the
 * row before, or '0'.
 *
 * Answers {'ok', version, version before} or {'changed', key}: somebody has
 * changed that key since, and nothing is taken back. The rows come back under a
 * new version, for others may have decided on what is taken back now. */
#define LUA_UNDO_CLEAR                                                         \
    "local before = str(ver)\n"                                                \
    "if ARGV[6] ~= '' then\n"                                                  \
    "  if m[1] ~= ARGV[5] or not call('ZSCORE', D, ARGV[6]) then\n"            \
    "    return {'changed', ''}\n"                                             \
    "  end\n"                                                                  \
    "  call('DEL', P .. 'none')\n"                                             \
    "  next_version()\n"                                                       \
    "  call('HSET', M, 'gen', ARGV[6])\n"                                      \
    "  call('ZREM', D, ARGV[6])\n"                                             \
    "  call('ZADD', D, now - 60000, gen)\n"                                    \
    "  forget_changes()\n"                                                     \
    "  done()\n"                                                               \
    "  return {'ok', str(ver), before}\n"                                      \
    "end\n"

#define LUA_UNDO_ROWS                                                          \
    "local n, i, hasx = tonumber(ARGV[7]), 8, call('ZCARD', X) > 0\n"          \
    "local mine = tonumber(ARGV[5])\n"                                         \
    "call('ZCARD', K)\n"                                                       \
    "for c = 1, n do\n"                                                        \
    "  local op, key = ARGV[i], ARGV[i + 1]\n"                                 \
    "  local s = call('ZSCORE', C, key)\n"                                     \
    "  local meta = call('HGET', B .. 'r:' .. key, 'meta')\n"                  \
    "  local same = s and tonumber(s) == mine\n"                               \
    "  if not s then\n"                                                        \
    "    same = meta and tonumber(string.match(meta, '^%d+')) == mine or\n"    \
    "           (op == 'd' and not meta)\n"                                    \
    "  end\n"                                                                  \
    "  if ver == 0 or not same then return {'changed', key} end\n"             \
    "  i = i + (ARGV[i + 2] == '1' and 7 or 3)\n"                              \
    "end\n"                                                                    \
    "call('DEL', P .. 'none')\n"                                               \
    "next_version()\n"                                                         \
    "if n > " SCRIPT_LOG_MAX " then forget_changes() end\n"                    \
    "i = 8\n"                                                                  \
    "for c = 1, n do\n"                                                        \
    "  local key = ARGV[i + 1]\n"                                              \
    "  drop(key, hasx)\n"                                                      \
    "  if ARGV[i + 2] == '1' then\n"                                           \
    "    local meta, tags, exp = ARGV[i + 3], ARGV[i + 5], ARGV[i + 6]\n"      \
    "    put(key, false, ARGV[i + 4],\n"                                       \
    "        (string.gsub(meta, '^%d+', str(ver))),\n"                         \
    "        tags ~= '' and tags, exp, false)\n"                               \
    "    hasx = hasx or exp ~= ''\n"                                           \
    "    i = i + 7\n"                                                          \
    "  else\n"                                                                 \
    "    i = i + 3\n"                                                          \
    "  end\n"                                                                  \
    "  if n <= " SCRIPT_LOG_MAX " then call('ZADD', C, str(ver), key) end\n"   \
    "end\n"                                                                    \
    "done()\n"                                                                 \
    "return {'ok', str(ver), before}\n"

/* --- the small ones --- */

/* ARGV: 2 writer, 3 number. {'applied', version} or {'void'}: it was not done,
 * and never will be. */
#define LUA_FENCE                                                              \
    "local W = P .. 'writer:' .. ARGV[2]\n"                                    \
    "local w = call('GET', W)\n"                                               \
    "if w then\n"                                                              \
    "  local n, how, v = string.match(w, '^(%d+) (%a+) (%d+)$')\n"             \
    "  if n == ARGV[3] and how == 'ok' then return {'applied', v} end\n"       \
    "end\n"                                                                    \
    "call('DEL', P .. 'none')\n"                                               \
    "call('SET', W, ARGV[3] .. ' void 0', 'PX', 3600000)\n"                    \
    "return {'void'}\n"

/* ARGV: 2 key, 3 token, 4 ms. {'ok'} or {'held'}. */
#define LUA_CLAIM                                                              \
    "local h = call('HGET', L, ARGV[2])\n"                                     \
    "if h then\n"                                                              \
    "  local token, till = string.match(h, '^(%S+) (%d+)$')\n"                 \
    "  if token ~= ARGV[3] and tonumber(till) > now then\n"                    \
    "    return {'held'}\n"                                                    \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "call('HSET', L, ARGV[2], ARGV[3] .. ' ' .. str(now + ARGV[4]))\n"         \
    "call('PEXPIRE', L, 60000)\n"                                              \
    "return {'ok'}\n"

/* ARGV: 2 key, 3 token. */
#define LUA_UNCLAIM                                                            \
    "local h = call('HGET', L, ARGV[2])\n"                                     \
    "if h and string.match(h, '^(%S+) ') == ARGV[3] then\n"                    \
    "  call('HDEL', L, ARGV[2])\n"                                             \
    "end\n"                                                                    \
    "return {'ok'}\n"

/* ARGV: 2 generation or '', 3 rows at most, 4 age in ms of what may go without
 * being named. Removes rows that a clear has left, or what the server has
 * expired. Answers {'more'} or {'end'}. */
#define LUA_CLEAN                                                              \
    "local g = ARGV[2]\n"                                                      \
    "local gone = call('ZRANGEBYSCORE', X, '-inf', '(' .. now,\n"              \
    "                  'LIMIT', 0, ARGV[3])\n"                                 \
    "for _, key in ipairs(gone) do\n"                                          \
    "  call('UNLINK', B .. 'r:' .. key)\n"                                     \
    "  call('ZREM', K, key)\n"                                                 \
    "  call('ZREM', X, key)\n"                                                 \
    "end\n"                                                                    \
    "if #gone > 0 then return {'more'} end\n"                                  \
    "if g == '' then\n"                                                        \
    "  g = call('ZRANGEBYSCORE', D, '-inf', now - ARGV[4], 'LIMIT', 0, "       \
    "1)[1]\n"                                                                  \
    "end\n"                                                                    \
    "if not g or g == gen or not call('ZSCORE', D, g) then\n"                  \
    "  return {'end'}\n"                                                       \
    "end\n"                                                                    \
    "local b = P .. g .. ':'\n"                                                \
    "local list = call('ZPOPMIN', b .. 'keys', ARGV[3])\n"                     \
    "for j = 1, #list, 2 do call('UNLINK', b .. 'r:' .. list[j]) end\n"        \
    "if #list > 0 then return {'more'} end\n"                                  \
    "call('UNLINK', b .. 'expiry')\n"                                          \
    "call('ZREM', D, g)\n"                                                     \
    "return {'more'}\n"

/* ARGV: 2 where to begin ('-' or '(' and a key), 3 keys at most. Compares the
 * index with the rows. Answers {last key looked at, problem, ..}. */
#define LUA_CHECK                                                              \
    "local list = call('ZRANGEBYLEX', K, ARGV[2], '+', 'LIMIT', 0, ARGV[3])\n" \
    "local out = {list[#list] or false}\n"                                     \
    "local function bad(key, what)\n"                                          \
    "  out[#out + 1] = \"key '\" .. key .. \"' \" .. what\n"                   \
    "end\n"                                                                    \
    "for _, key in ipairs(list) do\n"                                          \
    "  local meta = call('HGET', B .. 'r:' .. key, 'meta')\n"                  \
    "  local s = call('ZSCORE', X, key)\n"                                     \
    "  local exp = meta and string.match(meta,\n"                              \
    "    '^%d+ %d+ %a %-?%d+ %-?%d+ (%S+) %d+ %d+$')\n"                        \
    "  if not meta then\n"                                                     \
    "    if not s or tonumber(s) >= now then\n"                                \
    "      bad(key, 'is in the index, but its row is not there')\n"            \
    "    end\n"                                                                \
    "  elseif not exp then\n"                                                  \
    "    bad(key, 'has a damaged meta')\n"                                     \
    "  elseif exp == '-' and s then\n"                                         \
    "    bad(key, 'is among those that expire, but does not')\n"               \
    "  elseif exp ~= '-' and (not s or tonumber(s) ~= tonumber(exp)) then\n"   \
    "    bad(key, 'expires, but is not among those that do')\n"                \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "return out\n"

/* Removes what is left when the rows are gone; {'more'}: there are new ones. */
#define LUA_WIPE                                                               \
    "if call('ZCARD', K) > 0 then return {'more'} end\n"                       \
    "call('UNLINK', M, K, X, C, L, D)\n"                                       \
    "return {'ok'}\n"

static const char *const texts[SCRIPT_COUNT] = {
    [SCRIPT_COMMIT] = LUA_COMMIT,
    [SCRIPT_UNDO] = LUA_BASE LUA_GUARD LUA_PUT LUA_UNDO_CLEAR LUA_UNDO_ROWS,
    [SCRIPT_FENCE] = LUA_BASE LUA_FENCE,
    [SCRIPT_CLAIM] = LUA_BASE LUA_CLAIM,
    [SCRIPT_UNCLAIM] = LUA_BASE LUA_UNCLAIM,
    [SCRIPT_CLEAN] = LUA_BASE LUA_CLEAN,
    [SCRIPT_CHECK] = LUA_BASE LUA_CHECK,
    [SCRIPT_WIPE] = LUA_BASE LUA_WIPE,
};

/* --- calling --- */

/* Places of what script_call() fills in. */
enum { ARG_COMMAND, ARG_SCRIPT };

static void args_set(args *a, size_t i, const char *text) {
    size_t n = strlen(text);

    memcpy(a->pointers.p + i * sizeof text, &text, sizeof text);
    memcpy(a->lengths.p + i * sizeof n, &n, sizeof n);
}

void script_begin(args *a, nadb_slice prefix) {
    args_reset(a);
    args_text(a, "EVALSHA");
    args_text(a, "");
    args_text(a, "2");
    args_join(a, prefix, nadb_slice_str("meta"));
    /* A key that is never there: while a cluster moves the slot, scripts are
     * refused, instead of finding half of the keys (cluster.c). */
    args_join(a, prefix, nadb_slice_str("none"));
    args_add(a, prefix);
}

static bool known_name(script_names *names, script_id id, char sha[41]) {
    nadb_lock(&names->lock);
    memcpy(sha, names->sha[id], 41);
    nadb_unlock(&names->lock);
    return sha[0] != '\0';
}

/* Has the server keep the script and say what it calls it. */
static nadb_rc load(script_names *names, conn *c, script_id id, char sha[41],
                    nadb_err *err) {
    redisReply *r = NULL;
    args a;
    nadb_rc rc;

    memset(&a, 0, sizeof a);
    args_text(&a, "SCRIPT");
    args_text(&a, "LOAD");
    args_text(&a, texts[id]);
    rc = conn_call(c, &a, &r, err);
    if (rc == NADB_OK && reply_slice(r).n != 40) rc = conn_confused(c, err);
    if (rc == NADB_OK) {
        memcpy(sha, r->str, 40);
        sha[40] = '\0';
        nadb_lock(&names->lock);
        memcpy(names->sha[id], sha, 41);
        nadb_unlock(&names->lock);
    }
    freeReplyObject(r);
    args_clear(&a);
    return rc;
}

nadb_rc script_call(script_names *names, conn *c, script_id id, args *a,
                    redisReply **out, nadb_err *err) {
    char sha[41];
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (a->failed)
        return nadb_fail(err, NADB_NOMEM, "out of memory for a Redis command");
    if (!known_name(names, id, sha)) rc = load(names, c, id, sha, err);
    if (rc != NADB_OK) return rc;
    args_set(a, ARG_SCRIPT, sha);
    rc = conn_send(c, a, err);
    if (rc == NADB_OK) rc = conn_receive_script(c, out, err);
    if (rc != NADB_OK || *out != NULL) return rc;
    /* The server has forgotten it: nothing was done. */
    args_set(a, ARG_COMMAND, "EVAL");
    args_set(a, ARG_SCRIPT, texts[id]);
    return conn_call(c, a, out, err);
}

bool script_says(const redisReply *r, const char *word) {
    return reply_is_array(r, 1) &&
           nadb_slice_eq(reply_slice(r->element[0]), nadb_slice_str(word));
}
