/* script_change.c - the scripts that commit, and what belongs to it. */
#include "script_lua.h"

/* ARGV: 1 writer, 2 number, 3 deadline. What a writer did last is kept for an
 * hour at least: asking comes within seconds. The fields of a store that is
 * new are all there from the first commit on: one lookup finds them quickly. */
#define LUA_WRITER "local W = 'w:' .. ARGV[1]\n" LUA_LOOK

#define LUA_GUARD                                                              \
    LUA_STATE                                                                  \
    "local w = m[8]\n"                                                         \
    "if now > tonumber(ARGV[3]) then return {'late'} end\n"                    \
    "if w and tonumber(string.match(w, '^%d+')) >= tonumber(ARGV[2]) then\n"   \
    "  return {'again'}\n"                                                     \
    "end\n"

#define LUA_DONE                                                               \
    "local function changes_since(seq, counts)\n"                              \
    "  local keys, last = {}, -1\n"                                            \
    "  while true do\n"                                                        \
    "    local list = call('LRANGE', C, last - 99, last)\n"                    \
    "    for i = #list, 1, -1 do\n"                                            \
    "      local v, key = string.match(list[i], '^(%d+) (.*)$')\n"             \
    "      if tonumber(v) <= seq then return keys end\n"                       \
    "      if counts(v) then keys[key] = true end\n"                           \
    "    end\n"                                                                \
    "    if #list < 100 then return keys end\n"                                \
    "    last = last - 100\n"                                                  \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function register()\n"                                              \
    "  if w then return end\n"                                                 \
    "  call('ZADD', R, now, ARGV[1])\n"                                        \
    "  local old = call('ZRANGEBYSCORE', R, '-inf', str(now - 3600000),\n"     \
    "                   'LIMIT', 0, 5)\n"                                      \
    "  for _, name in ipairs(old) do\n"                                        \
    "    local s = call('HGET', M, 'w:' .. name)\n"                            \
    "    local last = s and tonumber(string.match(s, '(%d+)$')) or 0\n"        \
    "    if last < now - 3600000 then\n"                                       \
    "      call('HDEL', M, 'w:' .. name)\n"                                    \
    "      call('ZREM', R, name)\n"                                            \
    "    else\n"                                                               \
    "      call('ZADD', R, last, name)\n"                                      \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function done()\n"                                                  \
    "  call('HSET', M, W, ARGV[2] .. ' ok ' .. str(ver) .. ' ' .. str(now))\n" \
    "  register()\n"                                                           \
    "end\n" LUA_VERSIONS

/* --- commit ---
 *
 * ARGV: 4 version that the view saw ('' = it has read nothing), 5 flags (c
 * clear first, a everything was read, d nothing but deletes; s, r: the short
 * form below), 6 claim, 7 its key, 8 number of keys read, 9 of ranges, 10 of
 * changes, 11 versions that do not count as changes, with a comma around each;
 * keys; lo and hi of each range ('' = open); changes: 'p' key value
 * rest-of-meta tags expiry, or 'd' key.
 *
 * Answers {'ok', version, version before, generation before a clear or false,
 * rows that were there before}, {'conflict', key}, {'claimed', key}, {'late'},
 * {'again'}, {'layout', which}. */

/* Most commits are of one row, and nothing else is to be done meanwhile. They
 * have flags s, or r when they have read their key, and behind them only key,
 * value and rest-of-meta. What this cannot do goes the long way. Versions stay
 * text, of which the last digits are counted up: numbers are slow here.
 *
 * Answers {'ok', version}, and where a row was, its meta and value behind it.
 * The version before is one less. */
#define LUA_SHORT                                                              \
    "local ARGV = ARGV\n"                                                      \
    "if ARGV[5] == 's' or ARGV[5] == 'r' then\n"                               \
    "  local key, w, now = ARGV[6], m[8], T[1] * 1000 + T[2] / 1000\n"         \
    "  local n = w and string.sub(m[1], -6) + 1 or 0\n"                        \
    "  if n % 64 ~= 0 and n < 1000000 and m[7] == '' and\n"                    \
    "     m[4] == '" SCRIPT_LAYOUT "' and\n"                                   \
    "     (ARGV[4] == '' or ARGV[4] == m[1]) and now <= ARGV[3] + 0 and\n"     \
    "     (m[6] == '0' or tonumber(m[6]) <= now) and\n"                        \
    "     (m[5] == '' or tonumber(m[5]) >= now) and\n"                         \
    "     string.match(w, '^%d+') + 0 < ARGV[2] + 0 then\n"                    \
    "    local b = P .. m[2]\n"                                                \
    "    local r = b .. ':r:' .. key\n"                                        \
    "    local old = call('HMGET', r, 'meta', 'value', 'tags')\n"              \
    "    local v = string.sub(m[1], 1, -7) .. string.format('%06d', n)\n"      \
    "    local new = v\n"                                                      \
    "    if old[1] then\n"                                                     \
    "      new = not old[3] and string.match(old[1],\n"                        \
    "        m[5] == '' and ' (%d+) ' or '^%d+ (%d+) %a %-?%d+ %-?%d+ %- "     \
    "')\n"                                                                     \
    "    end\n"                                                                \
    "    if new then\n"                                                        \
    "      call('RPUSH', P .. 'changes', v .. ' ' .. key)\n"                   \
    "      if not old[1] then call('ZADD', b .. ':keys', '0', key) end\n"      \
    "      call('HSET', r, 'value', ARGV[7],\n"                                \
    "           'meta', v .. ' ' .. new .. ' ' .. ARGV[8])\n"                  \
    "      call('HSET', M, 'ver', v, W,\n"                                     \
    "           ARGV[2] .. ' ok ' .. v .. ' ' .. T[1] .. '000')\n"             \
    "      if not old[1] then return {'ok', v} end\n"                          \
    "      return {'ok', v, old[1], old[2]}\n"                                 \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "  local long = {ARGV[1], ARGV[2], ARGV[3], ARGV[4], '', '', '', '0', "    \
    "'0', '1',\n"                                                              \
    "                ''}\n"                                                    \
    "  if ARGV[5] == 'r' then\n"                                               \
    "    long[8] = '1'\n"                                                      \
    "    long[12] = key\n"                                                     \
    "  end\n"                                                                  \
    "  for _, x in ipairs({'p', key, ARGV[7], ARGV[8], '', ''}) do\n"          \
    "    long[#long + 1] = x\n"                                                \
    "  end\n"                                                                  \
    "  ARGV = long\n"                                                          \
    "end\n"

/* A key that has a row has changed when that is younger than the view; one that
 * has none, when the log of changes says so. For views older than the log it
 * may have been deleted. A view of version 0 saw an empty store. */
#define LUA_CONFLICTS                                                          \
    "local seq = tonumber(ARGV[4])\n"                                          \
    "local flags = ARGV[5]\n"                                                  \
    "local at = 12\n"                                                          \
    "local ranges = at + tonumber(ARGV[8])\n"                                  \
    "local changes = ranges + 2 * tonumber(ARGV[9])\n"                         \
    "local n = tonumber(ARGV[10])\n"                                           \
    "local clear = string.find(flags, 'c')\n"                                  \
    "if clear and layout == '1' then layout = '" SCRIPT_LAYOUT "' end\n"       \
    "if ver == 0 and string.find(P, '/', 1, true) then\n"                      \
    "  return {'layout', '" SCRIPT_NO_LAYOUT "'}\n"                            \
    "end\n" LUA_LAYOUT LUA_LESS "local function after(s)\n"                    \
    "  return tonumber(s) > seq and\n"                                         \
    "    not string.find(ARGV[11], ',' .. s .. ',', 1, true)\n"                \
    "end\n"                                                                    \
    "local recent\n"                                                           \
    "local function changed(key)\n"                                            \
    "  local meta = call('HGET', B .. 'r:' .. key, 'meta')\n"                  \
    "  if meta then return after(string.match(meta, '^%d+')) end\n"            \
    "  if ver == 0 or seq < floor then return seq > 0 end\n"                   \
    "  recent = recent or changes_since(seq, after)\n"                         \
    "  return recent[key]\n"                                                   \
    "end\n"                                                                    \
    "local function range_changed()\n"                                         \
    "  if ver == 0 or seq < floor then return '' end\n"                        \
    "  recent = recent or changes_since(seq, after)\n"                         \
    "  local most = 2000000\n"                                                 \
    "  for key in pairs(recent) do\n"                                          \
    "    for i = ranges, changes - 1, 2 do\n"                                  \
    "      local hi = ARGV[i + 1]\n"                                           \
    "      most = most - 1\n"                                                  \
    "      if most < 0 then return '' end\n"                                   \
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

/* In a shard: what was read may be about to change, by a commit that has begun
 * in another one and holds locks (script_shards.c) on what it changes. */
#define LUA_LOCKED                                                             \
    "local held = tonumber(m[6] or 0) > now\n"                                 \
    "local function locked_read()\n"                                           \
    "  local all, read = call('HGETALL', L), {}\n"                             \
    "  local every = string.find(flags, 'a') or\n"                             \
    "    #all * (changes - ranges) > 2000000\n"                                \
    "  for i = at, ranges - 1 do read[ARGV[i]] = true end\n"                   \
    "  for j = 1, #all, 2 do\n"                                                \
    "    local key = all[j]\n"                                                 \
    "    local other, token = foreign(all[j + 1], ARGV[6])\n"                  \
    "    if other and string.sub(token, 1, 1) == 'c' then\n"                   \
    "      if every or key == '' or read[key] then return key end\n"           \
    "      for i = ranges, changes - 1, 2 do\n"                                \
    "        local hi = ARGV[i + 1]\n"                                         \
    "        if not lt(key, ARGV[i]) and (hi == '' or lt(key, hi)) then\n"     \
    "          return key\n"                                                   \
    "        end\n"                                                            \
    "      end\n"                                                              \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "if held and string.find(P, '/', 1, true) then\n"                          \
    "  local key = seq and locked_read()\n"                                    \
    "  if not key and foreign(call('HGET', L, ''), ARGV[6]) then key = '' "    \
    "end\n"                                                                    \
    "  if key then return {'claimed', key} end\n"                              \
    "end\n"

/* ARGV: as a commit's, without changes. {'ok'} when nothing that was read has
 * changed, or is about to; {'conflict', key}, {'claimed', key}. */
const char script_validate[] =
    LUA_BASE LUA_NAMES LUA_FOREIGN LUA_DONE LUA_CONFLICTS LUA_LOCKED
    "return {'ok'}\n";

/* The rows that will be overwritten, and whether others have claimed them. */
#define LUA_BEFORE                                                             \
    "local old = {}\n"                                                         \
    "if held then\n" LUA_LEASE "  if till > now then\n"                        \
    "    return {'leased', call('HGET', M, 'leaser') or '', str(till - "       \
    "now)}\n"                                                                  \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local i = changes\n"                                                      \
    "for c = 1, n do\n"                                                        \
    "  local key, more = ARGV[i + 1], ARGV[i] == 'p'\n"                        \
    "  local h = held and call('HGET', L, key)\n"                              \
    "  if h and foreign(h, ARGV[6]) then return {'claimed', key} end\n"        \
    "  local tags = more and ARGV[i + 4] or ''\n"                              \
    "  if clear then\n"                                                        \
    "    old[c] = {row = false, tags = ''}\n"                                  \
    "    types_of(tags)\n"                                                     \
    "  else\n"                                                                 \
    "    old[c] = present(key, tags)\n"                                        \
    "  end\n"                                                                  \
    "  i = i + (more and 6 or 2)\n"                                            \
    "end\n"                                                                    \
    "types()\n"                                                                \
    "call('ZCARD', R)\n"                                                       \
    "call('ZCARD', D)\n"

/* Deleting must be possible when the server is full: a write that is always
 * allowed comes first, after which the server lets a script finish. */
#define LUA_APPLY                                                              \
    "if string.find(flags, 'd') then call('DEL', P .. 'none') end\n"           \
    "local before = str(ver)\n"                                                \
    "next_version()\n"                                                         \
    "local v = str(ver)\n"                                                     \
    "local cleared = false\n"                                                  \
    "if clear then\n"                                                          \
    "  cleared = gen\n"                                                        \
    "  call('ZADD', D, now, gen)\n"                                            \
    "  call('HSET', M, 'gen', v, 'layout', '" SCRIPT_LAYOUT                    \
    "', 'expiry', '',\n"                                                       \
    "       'dead', '1')\n"                                                    \
    "  call('HSETNX', M, 'held', '0')\n"                                       \
    "  m[5], m[7] = '', '1'\n"                                                 \
    "  generation(v)\n"                                                        \
    "end\n"                                                                    \
    "if clear or n > " SCRIPT_LOG_MAX " then\n"                                \
    "  forget_changes()\n"                                                     \
    "end\n"                                                                    \
    "local rows = {}\n"                                                        \
    "i = changes\n"                                                            \
    "for c = 1, n do\n"                                                        \
    "  local key, o = ARGV[i + 1], old[c]\n"                                   \
    "  if ARGV[i] == 'p' then\n"                                               \
    "    local new = o.row and string.match(o.row[1], '^%d+ (%d+) ') or v\n"   \
    "    put(key, o, ARGV[i + 2], v .. ' ' .. new .. ' ' .. ARGV[i + 3],\n"    \
    "        ARGV[i + 4], ARGV[i + 5])\n"                                      \
    "    i = i + 6\n"                                                          \
    "  else\n"                                                                 \
    "    drop(key, o)\n"                                                       \
    "    i = i + 2\n"                                                          \
    "  end\n"                                                                  \
    "  rows[c] = o.row\n"                                                      \
    "  if n <= " SCRIPT_LOG_MAX                                                \
    " then call('RPUSH', C, v .. ' ' .. key) end\n"                            \
    "end\n"                                                                    \
    "flush()\n"

/* Housekeeping, a little with every commit: the log of changes is cut, what
 * the server has expired is taken out of index and tags, and what an old clear
 * left behind is removed. */
#define LUA_KEEP_HOUSE                                                         \
    "if (n > 16 or ver % 64 == 0) and not clear and\n"                         \
    "   n <= " SCRIPT_LOG_MAX " and\n"                                         \
    "   call('LLEN', C) > 1.1 * " SCRIPT_LOG_MAX " then\n"                     \
    "  local last = call('LINDEX', C, -" SCRIPT_LOG_MAX " - 1)\n"              \
    "  call('HSET', M, 'floor', string.match(last, '^%d+'))\n"                 \
    "  call('LTRIM', C, -" SCRIPT_LOG_MAX ", -1)\n"                            \
    "end\n"                                                                    \
    "if m[5] ~= '' and tonumber(m[5]) < now then sweep(10) end\n"              \
    "note_expiry()\n"                                                          \
    "if m[7] ~= '' then\n"                                                     \
    "  local dead = call('ZRANGEBYSCORE', D, '-inf', str(now - 60000),\n"      \
    "                    'LIMIT', 0, 1)[1]\n"                                  \
    "  if dead then remove(dead, 50) end\n"                                    \
    "end\n"                                                                    \
    "if ARGV[7] ~= '' then release(ARGV[7]) end\n"                             \
    "done()\n"                                                                 \
    "return {'ok', v, before, cleared, rows}\n"

const char script_commit[] = LUA_WRITER LUA_SHORT LUA_GUARD LUA_NAMES
    LUA_FOREIGN LUA_TAGS LUA_ROWS LUA_REMOVE LUA_RELEASE LUA_DONE LUA_CONFLICTS
        LUA_LOCKED LUA_BEFORE LUA_APPLY LUA_KEEP_HOUSE;

/* --- undo ---
 *
 * ARGV: 4 version to take back, 5 generation before its clear or '', 6 number
 * of changes; each: 'p' or 'd', key, '1' and meta, value, tags, expiry of the
 * row before, or '0'.
 *
 * Answers {'ok', version, version before} or {'changed', key}: somebody has
 * changed that key since, and nothing is taken back. The rows come back under a
 * new version, for others may have decided on what is taken back now. */
#define LUA_UNDO_CLEAR                                                         \
    "local before = str(ver)\n"                                                \
    "if ARGV[5] ~= '' then\n"                                                  \
    "  if m[1] ~= ARGV[4] or not call('ZSCORE', D, ARGV[5]) then\n"            \
    "    return {'changed', ''}\n"                                             \
    "  end\n"                                                                  \
    "  call('DEL', P .. 'none')\n"                                             \
    "  next_version()\n"                                                       \
    "  call('HSET', M, 'gen', ARGV[5])\n"                                      \
    "  call('ZREM', D, ARGV[5])\n"                                             \
    "  call('ZADD', D, now - 60000, gen)\n"                                    \
    "  generation(ARGV[5])\n"                                                  \
    "  touched = true\n"                                                       \
    "  note_expiry()\n"                                                        \
    "  forget_changes()\n"                                                     \
    "  done()\n"                                                               \
    "  return {'ok', str(ver), before}\n"                                      \
    "end\n"

#define LUA_UNDO_ROWS                                                          \
    "local n, i = tonumber(ARGV[6]), 7\n"                                      \
    "local mine, there = tonumber(ARGV[4]), {}\n"                              \
    "types()\n"                                                                \
    "local function later() return true end\n"                                 \
    "local known = floor <= mine\n"                                            \
    "local changed = known and changes_since(mine, later) or {}\n"             \
    "for c = 1, n do\n"                                                        \
    "  local op, key, was = ARGV[i], ARGV[i + 1], ARGV[i + 2] == '1'\n"        \
    "  there[c] = present(key, was and ARGV[i + 5] or '')\n"                   \
    "  local meta = there[c].row and there[c].row[1]\n"                        \
    "  local same = not changed[key] and (known or op == 'd')\n"               \
    "  if meta then same = tonumber(string.match(meta, '^%d+')) == mine end\n" \
    "  if ver == 0 or not same then return {'changed', key} end\n"             \
    "  i = i + (was and 7 or 3)\n"                                             \
    "end\n"                                                                    \
    "call('DEL', P .. 'none')\n"                                               \
    "next_version()\n"                                                         \
    "if n > " SCRIPT_LOG_MAX " then forget_changes() end\n"                    \
    "i = 7\n"                                                                  \
    "for c = 1, n do\n"                                                        \
    "  local key = ARGV[i + 1]\n"                                              \
    "  if ARGV[i + 2] == '1' then\n"                                           \
    "    put(key, there[c], ARGV[i + 4],\n"                                    \
    "        (string.gsub(ARGV[i + 3], '^%d+', str(ver))),\n"                  \
    "        ARGV[i + 5], ARGV[i + 6])\n"                                      \
    "    i = i + 7\n"                                                          \
    "  else\n"                                                                 \
    "    drop(key, there[c])\n"                                                \
    "    i = i + 3\n"                                                          \
    "  end\n"                                                                  \
    "  if n <= " SCRIPT_LOG_MAX                                                \
    " then call('RPUSH', C, str(ver) .. ' ' .. key) end\n"                     \
    "end\n"                                                                    \
    "flush()\n"                                                                \
    "note_expiry()\n"                                                          \
    "done()\n"                                                                 \
    "return {'ok', str(ver), before}\n"

const char script_undo[] = LUA_WRITER LUA_GUARD LUA_NAMES LUA_LAYOUT LUA_TAGS
    LUA_ROWS LUA_DONE LUA_UNDO_CLEAR LUA_UNDO_ROWS;

/* --- the small ones --- */

/* ARGV: 1 writer, 2 number. {'applied', version} or {'void'}: it was not done,
 * and never will be. */
#define LUA_FENCE                                                              \
    "if w then\n"                                                              \
    "  local n, how, v = string.match(w, '^(%d+) (%a+) (%d+) %d+$')\n"         \
    "  if n == ARGV[2] and how == 'ok' then return {'applied', v} end\n"       \
    "end\n"                                                                    \
    "call('DEL', P .. 'none')\n"                                               \
    "call('HSET', M, W, ARGV[2] .. ' void 0 ' .. str(now))\n"                  \
    "register()\n"                                                             \
    "return {'void'}\n"

const char script_fence[] =
    LUA_WRITER LUA_STATE "local w = m[8]\n" LUA_NAMES LUA_DONE LUA_FENCE;

/* ARGV: 1 key, 2 token, 3 ms. {'ok', version, generation, value, meta, tags} or
 * {'held'}. */
#define LUA_CLAIM                                                              \
    "local h = call('HGET', L, ARGV[1])\n"                                     \
    "if h then\n"                                                              \
    "  local token, till = string.match(h, '^(%S+) (%d+)$')\n"                 \
    "  if token ~= ARGV[2] and tonumber(till) > now then\n"                    \
    "    return {'held'}\n"                                                    \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local r = call('HMGET', B .. 'r:' .. ARGV[1], 'value', 'meta', "          \
    "'tags')\n"                                                                \
    "local till = now + ARGV[3]\n"                                             \
    "call('HSET', L, ARGV[1], ARGV[2] .. ' ' .. str(till))\n"                  \
    "call('PEXPIRE', L, 60000)\n"                                              \
    "if till > tonumber(m[6] or 0) then call('HSET', M, 'held', str(till)) "   \
    "end\n"                                                                    \
    "return {'ok', m[1] or '', gen, r[1], r[2], r[3]}\n"

const char script_claim[] = LUA_BASE LUA_NAMES LUA_LAYOUT LUA_CLAIM;

/* ARGV: 1 key, 2 token. */
#define LUA_UNCLAIM                                                            \
    "local h = call('HGET', L, ARGV[1])\n"                                     \
    "if h and string.match(h, '^(%S+) ') == ARGV[2] then release(ARGV[1]) "    \
    "end\n"                                                                    \
    "return {'ok'}\n"

const char script_unclaim[] = LUA_BASE LUA_NAMES LUA_RELEASE LUA_UNCLAIM;
