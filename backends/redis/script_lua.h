/* script_lua.h - the scripts' texts, and what they have in common.
 *
 * In Lua here: strings are compared with lt(), because `<` goes by the locale
 * of the server; versions are numbers up to 2^53 and turned into text with
 * str(), because tostring() rounds. A version is one more than the one before,
 * the first the server's time in microseconds: a server that has lost its data
 * does not give a version twice. */
#ifndef NADB_REDIS_SCRIPT_LUA_H
#define NADB_REDIS_SCRIPT_LUA_H

#include "script.h"

/* script_change.c */
extern const char script_commit[], script_undo[], script_fence[];
extern const char script_claim[], script_unclaim[];
extern const char script_validate[];
/* script_shards.c */
extern const char script_mark[], script_lock[], script_unlock[];
/* script_drain.c */
extern const char script_lease[], script_drain[];
/* script_keep.c */
extern const char script_clean[], script_sweep[], script_check[], script_wipe[];
/* script_read.c */
extern const char script_match[], script_tags[], script_expiry[];

/* `W`: the field of `meta` that has what a writer did last. */
#define LUA_LOOK                                                               \
    "local M, call = KEYS[1], redis.call\n"                                    \
    "local P = string.sub(M, 1, -5)\n"                                         \
    "local T = call('TIME')\n"                                                 \
    "local m = call('HMGET', M, 'ver', 'gen', 'floor', 'layout', 'expiry', "   \
    "'held',\n"                                                                \
    "               'dead', W)\n"

#define LUA_STATE                                                              \
    "local function str(n) return string.format('%.0f', n) end\n"              \
    "local now = T[1] * 1000 + math.floor(T[2] / 1000)\n"                      \
    "local ver, gen = tonumber(m[1] or 0), m[2] or '0'\n"                      \
    "local floor, layout = tonumber(m[3] or 0), m[4] or (m[1] and '1')\n"

#define LUA_BASE "local W = 'w:'\n" LUA_LOOK LUA_STATE

/* Names of the sorted sets of a generation. */
#define LUA_NAMES                                                              \
    "local B, K, X, G, E\n"                                                    \
    "local function generation(g)\n"                                           \
    "  gen, B = g, P .. g .. ':'\n"                                            \
    "  K, X, G, E = B .. 'keys', B .. 'expiry', B .. 'tags', B .. 'xtags'\n"   \
    "end\n"                                                                    \
    "generation(gen)\n"                                                        \
    "local C, L, D, R = P .. 'changes', P .. 'claims', P .. 'dead', P .. "     \
    "'writers'\n"

/* The order of keys: of their bytes. */
#define LUA_LESS                                                               \
    "local function lt(a, b)\n"                                                \
    "  local same = math.min(#a, #b)\n"                                        \
    "  for i = 1, same do\n"                                                   \
    "    local x, y = string.byte(a, i), string.byte(b, i)\n"                  \
    "    if x ~= y then return x < y end\n"                                    \
    "  end\n"                                                                  \
    "  return #a < #b\n"                                                       \
    "end\n"

/* The layout of another version of nadb is left alone. */
#define LUA_LAYOUT                                                             \
    "if layout and layout ~= '" SCRIPT_LAYOUT                                  \
    "' then return {'layout', layout} end\n"

/* Without claims nobody looks for one. */
#define LUA_RELEASE                                                            \
    "local function release(key)\n"                                            \
    "  if call('HDEL', L, key) == 1 and call('EXISTS', L) == 0 then\n"         \
    "    call('HSET', M, 'held', '0')\n"                                       \
    "  end\n"                                                                  \
    "end\n"

/* Whether a claim is somebody else's and still holds; its token. */
#define LUA_FOREIGN                                                            \
    "local function foreign(h, mine)\n"                                        \
    "  if not h then return false end\n"                                       \
    "  local token, till = string.match(h, '^(%S+) (%d+)$')\n"                 \
    "  return token ~= mine and tonumber(till) > now, token\n"                 \
    "end\n"

/* A row's tags are in the set of each tag; a row that expires has them in `E`
 * too, for who removes it when the server has. `tags` is the JSON, or ''. What
 * is to be added to sets waits for flush(), as one call for many is faster. */
#define LUA_TAGS                                                               \
    "local decoded, named = {}, {}\n"                                          \
    "local function list(json)\n"                                              \
    "  if not json or json == '' then return {} end\n"                         \
    "  local t = decoded[json]\n"                                              \
    "  if not t then\n"                                                        \
    "    local ok\n"                                                           \
    "    ok, t = pcall(cjson.decode, json)\n"                                  \
    "    if not ok or type(t) ~= 'table' then t = {} end\n"                    \
    "    decoded[json] = t\n"                                                  \
    "  end\n"                                                                  \
    "  return t\n"                                                             \
    "end\n"                                                                    \
    "local waiting = {}\n"                                                     \
    "local function flush()\n"                                                 \
    "  for set, list in pairs(waiting) do\n"                                   \
    "    if #list > 0 then call('ZADD', set, unpack(list)) end\n"              \
    "  end\n"                                                                  \
    "  waiting = {}\n"                                                         \
    "end\n"                                                                    \
    "local function add(set, key)\n"                                           \
    "  local list = waiting[set]\n"                                            \
    "  if not list then\n"                                                     \
    "    list = {}\n"                                                          \
    "    waiting[set] = list\n"                                                \
    "  end\n"                                                                  \
    "  list[#list + 1] = 0\n"                                                  \
    "  list[#list + 1] = key\n"                                                \
    "  if #list == 1000 then\n"                                                \
    "    call('ZADD', set, unpack(list))\n"                                    \
    "    waiting[set] = {}\n"                                                  \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function join(key, tags)\n"                                         \
    "  for _, t in ipairs(list(tags)) do\n"                                    \
    "    add(B .. 't:' .. t, key)\n"                                           \
    "    if not named[t] then\n"                                               \
    "      call('ZADD', G, 0, t)\n"                                            \
    "      named[t] = true\n"                                                  \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function quit(key, t)\n"                                            \
    "  local set = B .. 't:' .. t\n"                                           \
    "  if call('ZREM', set, key) == 1 and call('EXISTS', set) == 0 and\n"      \
    "     #(waiting[set] or {}) == 0 then\n"                                   \
    "    call('ZREM', G, t)\n"                                                 \
    "    named[t] = nil\n"                                                     \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function leave(key, tags)\n"                                        \
    "  for _, t in ipairs(list(tags)) do quit(key, t) end\n"                   \
    "end\n"

/* What is there of a key: {meta, value, tags} or false; expiry or false; the
 * tags that it is registered with. `m[5]` is the earliest expiry, or ''. A
 * foreign type fails here, before anything is changed. */
#define LUA_ROWS                                                               \
    "local touched, sets = false, {}\n"                                        \
    "local function types_of(tags)\n"                                          \
    "  for _, t in ipairs(list(tags)) do\n"                                    \
    "    if not sets[t] then\n"                                                \
    "      sets[t] = true\n"                                                   \
    "      call('ZCARD', B .. 't:' .. t)\n"                                    \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function types()\n"                                                 \
    "  call('ZCARD', K)\n"                                                     \
    "  call('ZCARD', X)\n"                                                     \
    "  call('ZCARD', G)\n"                                                     \
    "  call('LLEN', C)\n"                                                      \
    "  call('HLEN', E)\n"                                                      \
    "end\n"                                                                    \
    "local function present(key, tags)\n"                                      \
    "  local r = call('HMGET', B .. 'r:' .. key, 'meta', 'value', 'tags')\n"   \
    "  local o = {row = r[1] and r, tags = r[1] and r[3] or ''}\n"             \
    "  if m[5] and m[5] ~= '' then\n"                                          \
    "    o.exp = call('ZSCORE', X, key)\n"                                     \
    "    if o.exp and not o.row then o.tags = call('HGET', E, key) or '' "     \
    "end\n"                                                                    \
    "  end\n"                                                                  \
    "  types_of(o.tags)\n"                                                     \
    "  types_of(tags)\n"                                                       \
    "  return o\n"                                                             \
    "end\n"                                                                    \
    "local function put(key, o, value, meta, tags, exp)\n"                     \
    "  local r = B .. 'r:' .. key\n"                                           \
    "  if tags ~= '' then\n"                                                   \
    "    call('HSET', r, 'value', value, 'meta', meta, 'tags', tags)\n"        \
    "  else\n"                                                                 \
    "    call('HSET', r, 'value', value, 'meta', meta)\n"                      \
    "    if o.row and o.row[3] then call('HDEL', r, 'tags') end\n"             \
    "  end\n"                                                                  \
    "  if not o.row then add(K, key) end\n"                                    \
    "  if tags ~= o.tags then\n"                                               \
    "    leave(key, o.tags)\n"                                                 \
    "    join(key, tags)\n"                                                    \
    "  end\n"                                                                  \
    "  if exp ~= '' then\n"                                                    \
    "    call('ZADD', X, exp, key)\n"                                          \
    "    call('PEXPIREAT', r, exp)\n"                                          \
    "    if tags ~= '' then\n"                                                 \
    "      call('HSET', E, key, tags)\n"                                       \
    "    elseif o.exp and o.tags ~= '' then\n"                                 \
    "      call('HDEL', E, key)\n"                                             \
    "    end\n"                                                                \
    "    touched = true\n"                                                     \
    "  elseif o.exp then\n"                                                    \
    "    call('ZREM', X, key)\n"                                               \
    "    call('HDEL', E, key)\n"                                               \
    "    call('PERSIST', r)\n"                                                 \
    "    touched = true\n"                                                     \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function drop(key, o)\n"                                            \
    "  call('UNLINK', B .. 'r:' .. key)\n"                                     \
    "  call('ZREM', K, key)\n"                                                 \
    "  leave(key, o.tags)\n"                                                   \
    "  if o.exp then\n"                                                        \
    "    call('ZREM', X, key)\n"                                               \
    "    call('HDEL', E, key)\n"                                               \
    "    touched = true\n"                                                     \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function sweep(most)\n"                                             \
    "  local gone = call('ZRANGEBYSCORE', X, '-inf', '(' .. str(now),\n"       \
    "                    'LIMIT', 0, most)\n"                                  \
    "  for _, key in ipairs(gone) do\n"                                        \
    "    drop(key, {exp = true, tags = call('HGET', E, key) or ''})\n"         \
    "  end\n"                                                                  \
    "  return #gone\n"                                                         \
    "end\n"                                                                    \
    "local function note_expiry()\n"                                           \
    "  if not touched then return end\n"                                       \
    "  local first = call('ZRANGE', X, 0, 0, 'WITHSCORES')[2] or ''\n"         \
    "  if first ~= m[5] then call('HSET', M, 'expiry', first) end\n"           \
    "end\n"

/* A commit has a version. The fields of a store that is new are all there from
 * its first one on. */
#define LUA_VERSIONS                                                           \
    "local function next_version()\n"                                          \
    "  if ver == 0 then\n"                                                     \
    "    ver = T[1] * 1000000 + T[2]\n"                                        \
    "    floor = ver\n"                                                        \
    "    call('HSET', M, 'ver', str(ver), 'gen', '0', 'floor', str(ver),\n"    \
    "         'layout', '" SCRIPT_LAYOUT "', 'expiry', '', 'dead', '')\n"      \
    "    call('HSETNX', M, 'held', '0')\n"                                     \
    "    call('PERSIST', M)\n"                                                 \
    "    call('PERSIST', R)\n"                                                 \
    "    m[5], m[7] = '', ''\n"                                                \
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

/* `lease` in `meta`: whose it is, its token, and until when. Whoever writes
 * has to have it; a new holder gets a new token, so that one who was frozen and
 * wakes up is known to be late. */
#define LUA_LEASE                                                              \
    "local lease = call('HGET', M, 'lease')\n"                                 \
    "local owner, token, till = '', '0', 0\n"                                  \
    "if lease then\n"                                                          \
    "  owner, token, till = string.match(lease, '^(%S+) (%d+) (%d+)$')\n"      \
    "  till = tonumber(till)\n"                                                \
    "end\n"

/* Removes a piece of a generation that was cleared. */
#define LUA_REMOVE                                                             \
    "local function remove(g, most)\n"                                         \
    "  local b = P .. g .. ':'\n"                                              \
    "  local keys = call('ZPOPMIN', b .. 'keys', most)\n"                      \
    "  for j = 1, #keys, 2 do call('UNLINK', b .. 'r:' .. keys[j]) end\n"      \
    "  if #keys > 0 then return #keys / 2 end\n"                               \
    "  local tags = call('ZPOPMIN', b .. 'tags', most)\n"                      \
    "  for j = 1, #tags, 2 do call('UNLINK', b .. 't:' .. tags[j]) end\n"      \
    "  if #tags > 0 then return #tags / 2 end\n"                               \
    "  call('UNLINK', b .. 'expiry', b .. 'xtags')\n"                          \
    "  call('ZREM', D, g)\n"                                                   \
    "  if call('EXISTS', D) == 0 then call('HSET', M, 'dead', '') end\n"       \
    "  return 0\n"                                                             \
    "end\n"

#endif
