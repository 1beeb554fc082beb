/* script_keep.c - the scripts that remove what is over, look for what is
 * wrong, and repair it. */
#include "script_lua.h"

/* ARGV: 1 generation or '', 2 rows at most, 3 age in ms of what may go without
 * being named. Removes rows that a clear has left. {'more', how many}, 0 when
 * that was the end of one generation; or {'end'}. */
#define LUA_CLEAN                                                              \
    "local g = ARGV[1]\n"                                                      \
    "if g == '' then\n"                                                        \
    "  g = call('ZRANGEBYSCORE', D, '-inf', str(now - ARGV[3]),\n"             \
    "           'LIMIT', 0, 1)[1]\n"                                           \
    "end\n"                                                                    \
    "if not g or g == gen or not call('ZSCORE', D, g) then\n"                  \
    "  return {'end'}\n"                                                       \
    "end\n"                                                                    \
    "return {'more', remove(g, tonumber(ARGV[2]))}\n"

const char script_clean[] = LUA_BASE LUA_NAMES LUA_REMOVE LUA_CLEAN;

/* ARGV: 1 rows at most. Removes what is left of rows that have expired.
 * {'ok', how many}. */
#define LUA_SWEEP                                                              \
    "if not m[5] or m[5] == '' or tonumber(m[5]) >= now then return {'ok', "   \
    "0} end\n"                                                                 \
    "types()\n"                                                                \
    "call('DEL', P .. 'none')\n"                                               \
    "local n = sweep(tonumber(ARGV[1]))\n"                                     \
    "note_expiry()\n"                                                          \
    "return {'ok', n}\n"

const char script_sweep[] =
    LUA_BASE LUA_NAMES LUA_LAYOUT LUA_TAGS LUA_ROWS LUA_SWEEP;

/* --- check ---
 *
 * ARGV: 1 what to look through, 2 where to begin, 3 entries at most, 4 'repair'
 * or '', 5 a tag. Answers {where to go on or false, problem, ..}.
 *
 *   keys     the index: its rows, their expiry, their tags
 *   expiry   what expires: its keys
 *   xtags    the tags of what expires
 *   tags     the tags' names; also answers, in pairs, 'tag' and a name
 *   members  of one tag: its rows
 *
 * Places are '' for the first, and what was answered. */
#define LUA_CHECK                                                              \
    "local what, from, most = ARGV[1], ARGV[2], tonumber(ARGV[3])\n"           \
    "local repair, out = ARGV[4] ~= '', {false}\n"                             \
    "if repair then call('DEL', P .. 'none') end\n"                            \
    "local function bad(name, is, cure)\n"                                     \
    "  if repair then cure() else out[#out + 1] = name .. ' ' .. is end\n"     \
    "end\n"                                                                    \
    "local function by_name(set)\n"                                            \
    "  local names = call('ZRANGEBYLEX', set, from == '' and '-' or '(' .. "   \
    "from,\n"                                                                  \
    "                     '+', 'LIMIT', 0, most)\n"                            \
    "  if #names == most then out[1] = names[most] end\n"                      \
    "  return names\n"                                                         \
    "end\n"                                                                    \
    "local function row(key)\n"                                                \
    "  local r = call('HMGET', B .. 'r:' .. key, 'meta', 'tags')\n"            \
    "  return r[1], r[2] or ''\n"                                              \
    "end\n"                                                                    \
    "local function expires(meta)\n"                                           \
    "  return string.match(meta,\n"                                            \
    "    '^%d+ %d+ %a %-?%d+ %-?%d+ (%S+) %d+ %d+$')\n"                        \
    "end\n"                                                                    \
    "local function has(tags, tag)\n"                                          \
    "  for _, t in ipairs(list(tags)) do\n"                                    \
    "    if t == tag then return true end\n"                                   \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function check_tags(key, tags, exp)\n"                              \
    "  local name = \"key '\" .. key .. \"'\"\n"                               \
    "  for _, t in ipairs(list(tags)) do\n"                                    \
    "    if not call('ZSCORE', B .. 't:' .. t, key) or\n"                      \
    "       not call('ZSCORE', G, t) then\n"                                   \
    "      bad(name, \"has tag '\" .. t .. \"', but is not in its set\", "     \
    "function()\n"                                                             \
    "        call('ZADD', B .. 't:' .. t, 0, key)\n"                           \
    "        call('ZADD', G, 0, t)\n"                                          \
    "      end)\n"                                                             \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "  local x = exp ~= '-' and tags or ''\n"                                  \
    "  if (call('HGET', E, key) or '') ~= x then\n"                            \
    "    bad(name, 'has other tags where those of expiring rows are kept',\n"  \
    "        function()\n"                                                     \
    "      if x == '' then call('HDEL', E, key) else call('HSET', E, key, x) " \
    "end\n"                                                                    \
    "    end)\n"                                                               \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function check_key(key)\n"                                          \
    "  local meta, tags = row(key)\n"                                          \
    "  local s = call('ZSCORE', X, key)\n"                                     \
    "  local exp, name = meta and expires(meta), \"key '\" .. key .. \"'\"\n"  \
    "  if not meta then\n"                                                     \
    "    if not s or tonumber(s) >= now then\n"                                \
    "      bad(name, 'is in the index, but its row is not there', "            \
    "function()\n"                                                             \
    "        drop(key, {exp = s, tags = call('HGET', E, key) or ''})\n"        \
    "      end)\n"                                                             \
    "    end\n"                                                                \
    "  elseif not exp then\n"                                                  \
    "    out[#out + 1] = name .. ' has a damaged meta'\n"                      \
    "  else\n"                                                                 \
    "    if exp == '-' and s then\n"                                           \
    "      bad(name, 'is among those that expire, but does not', function()\n" \
    "        call('ZREM', X, key)\n"                                           \
    "        touched = true\n"                                                 \
    "      end)\n"                                                             \
    "    elseif exp ~= '-' and (not s or tonumber(s) ~= tonumber(exp)) then\n" \
    "      bad(name, 'expires, but is not among those that do', function()\n"  \
    "        call('ZADD', X, exp, key)\n"                                      \
    "        touched = true\n"                                                 \
    "      end)\n"                                                             \
    "    end\n"                                                                \
    "    check_tags(key, tags, exp)\n"                                         \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function check_expiry()\n"                                          \
    "  local begin = tonumber(from ~= '' and from or 0)\n"                     \
    "  local keys = call('ZRANGE', X, begin, begin + most - 1)\n"              \
    "  local kept = 0\n"                                                       \
    "  for _, key in ipairs(keys) do\n"                                        \
    "    if call('ZSCORE', K, key) then\n"                                     \
    "      kept = kept + 1\n"                                                  \
    "    else\n"                                                               \
    "      bad(\"key '\" .. key .. \"'\", 'expires, but is not in the "        \
    "index',\n"                                                                \
    "          function()\n"                                                   \
    "        drop(key, {exp = true, tags = call('HGET', E, key) or ''})\n"     \
    "      end)\n"                                                             \
    "      if not repair then kept = kept + 1 end\n"                           \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "  if #keys == most then out[1] = str(begin + kept) end\n"                 \
    "end\n"                                                                    \
    "local function check_xtags()\n"                                           \
    "  local page = call('HSCAN', E, from ~= '' and from or '0', 'COUNT', "    \
    "most)\n"                                                                  \
    "  for i = 1, #page[2], 2 do\n"                                            \
    "    local key = page[2][i]\n"                                             \
    "    if not call('ZSCORE', X, key) then\n"                                 \
    "      bad(\"key '\" .. key .. \"'\", 'has tags kept for its expiry, but " \
    "does '\n"                                                                 \
    "          .. 'not expire', function() call('HDEL', E, key) end)\n"        \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "  if page[1] ~= '0' then out[1] = page[1] end\n"                          \
    "end\n"                                                                    \
    "local function check_names()\n"                                           \
    "  for _, t in ipairs(by_name(G)) do\n"                                    \
    "    if call('EXISTS', B .. 't:' .. t) == 0 then\n"                        \
    "      bad(\"tag '\" .. t .. \"'\", 'has no rows', function()\n"           \
    "        call('ZREM', G, t)\n"                                             \
    "      end)\n"                                                             \
    "    end\n"                                                                \
    "    out[#out + 1] = 'tag'\n"                                              \
    "    out[#out + 1] = t\n"                                                  \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function check_members(tag)\n"                                      \
    "  for _, key in ipairs(by_name(B .. 't:' .. tag)) do\n"                   \
    "    local meta, tags = row(key)\n"                                        \
    "    if not meta and call('ZSCORE', X, key) then\n"                        \
    "      tags = call('HGET', E, key) or ''\n"                                \
    "    end\n"                                                                \
    "    if not has(tags, tag) then\n"                                         \
    "      bad(\"tag '\" .. tag .. \"'\", \"has key '\" .. key ..\n"           \
    "          \"' in its set, which does not have the tag\", function()\n"    \
    "        quit(key, tag)\n"                                                 \
    "      end)\n"                                                             \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "if what == 'keys' then\n"                                                 \
    "  for _, key in ipairs(by_name(K)) do check_key(key) end\n"               \
    "elseif what == 'expiry' then\n"                                           \
    "  check_expiry()\n"                                                       \
    "elseif what == 'xtags' then\n"                                            \
    "  check_xtags()\n"                                                        \
    "elseif what == 'tags' then\n"                                             \
    "  check_names()\n"                                                        \
    "else\n"                                                                   \
    "  check_members(ARGV[5])\n"                                               \
    "end\n"                                                                    \
    "note_expiry()\n"                                                          \
    "return out\n"

const char script_check[] =
    LUA_BASE LUA_NAMES LUA_LAYOUT LUA_TAGS LUA_ROWS LUA_CHECK;

/* Removes what is left when the rows are gone; {'more'}: there are new ones.
 * What writers did last stays for an hour, as it always does. */
#define LUA_WIPE                                                               \
    "if call('ZCARD', K) > 0 then return {'more'} end\n"                       \
    "call('UNLINK', K, X, G, E, C, L, D)\n"                                    \
    "call('HDEL', M, 'ver', 'gen', 'floor', 'layout', 'expiry', 'held', "      \
    "'dead', 'lease', 'leaser')\n"                                             \
    "call('PEXPIRE', M, 3600000)\n"                                            \
    "call('PEXPIRE', R, 3600000)\n"                                            \
    "return {'ok'}\n"

const char script_wipe[] = LUA_BASE LUA_NAMES LUA_WIPE;
