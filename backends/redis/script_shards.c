/* script_shards.c - the scripts of stores in shards: their marks
 * (shards_mark.c) and the locks of a commit over several (shards_commit.c). */
#include "script_lua.h"

/* ARGV: 1 a layout that stays as it is, 2 and 3 others that are replaced, 4 by
 * what, as is none; '' = by none. {'ok', layout before or '', version of what
 * was made or false}. */
#define LUA_MARK                                                               \
    "local before, made = layout or '', false\n"                               \
    "if layout == ARGV[1] then return {'ok', before, made} end\n"              \
    "if layout and layout ~= ARGV[2] and layout ~= ARGV[3] then\n"             \
    "  return {'layout', layout}\n"                                            \
    "end\n"                                                                    \
    "call('DEL', P .. 'none')\n"                                               \
    "if ARGV[4] == '' then\n"                                                  \
    "  call('HDEL', M, 'ver', 'gen', 'floor', 'layout', 'expiry', 'held', "    \
    "'dead')\n"                                                                \
    "  return {'ok', before, made}\n"                                          \
    "end\n"                                                                    \
    "if ver == 0 then\n"                                                       \
    "  next_version()\n"                                                       \
    "  made = str(ver)\n"                                                      \
    "end\n"                                                                    \
    "call('HSET', M, 'layout', ARGV[4])\n"                                     \
    "return {'ok', before, made}\n"

const char script_mark[] = LUA_BASE LUA_NAMES LUA_VERSIONS LUA_MARK;

/* Locks are claims whose token begins with c: who would change such a key
 * waits, and so does who has read it and commits. The key '' stands for all.
 *
 * ARGV: 1 token, 2 token of an own claim, 3 its key, 4 ms, 5.. keys. All of
 * them or none: {'ok'} or {'held', key}. A full server locks, too: rows may be
 * deleted there. */
#define LUA_LOCK                                                               \
    "if ver == 0 then return {'layout', '" SCRIPT_NO_LAYOUT                    \
    "'} end\n" LUA_LAYOUT "local held = tonumber(m[6] or 0) > now\n"           \
    "local function other(h)\n"                                                \
    "  local is, token = foreign(h, ARGV[1])\n"                                \
    "  return is and token ~= ARGV[2]\n"                                       \
    "end\n"                                                                    \
    "if held and other(call('HGET', L, '')) then return {'held', ''} end\n"    \
    "if held and ARGV[5] == '' then\n"                                         \
    "  local all = call('HGETALL', L)\n"                                       \
    "  for i = 1, #all, 2 do\n"                                                \
    "    if other(all[i + 1]) then return {'held', all[i]} end\n"              \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "for i = 5, held and #ARGV or 0 do\n"                                      \
    "  if other(call('HGET', L, ARGV[i])) then return {'held', ARGV[i]} end\n" \
    "end\n"                                                                    \
    "call('DEL', P .. 'none')\n"                                               \
    "local till = now + ARGV[4]\n"                                             \
    "local text = ARGV[1] .. ' ' .. str(till)\n"                               \
    "for i = 5, #ARGV do call('HSET', L, ARGV[i], text) end\n"                 \
    "call('PEXPIRE', L, 60000)\n"                                              \
    "if till > tonumber(m[6] or 0) then call('HSET', M, 'held', str(till)) "   \
    "end\n"                                                                    \
    "return {'ok'}\n"

const char script_lock[] = LUA_BASE LUA_NAMES LUA_FOREIGN LUA_LOCK;

/* ARGV: 1 token, 2.. keys. */
#define LUA_UNLOCK                                                             \
    "for i = 2, #ARGV do\n"                                                    \
    "  local h = call('HGET', L, ARGV[i])\n"                                   \
    "  if h and string.match(h, '^(%S+) ') == ARGV[1] then\n"                  \
    "    release(ARGV[i])\n"                                                   \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "return {'ok'}\n"

const char script_unlock[] = LUA_BASE LUA_NAMES LUA_RELEASE LUA_UNLOCK;
