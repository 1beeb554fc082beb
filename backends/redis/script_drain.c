/* script_drain.c - the scripts of a machine that buffers (write=buffered). */
#include "script_lua.h"

/* ARGV: 1 'take' or 'give', 2 owner, 3 token or '', 4 ms, 5 who it is, for
 * people. {'ok', token, log, offset}: up to where the owner's logs are here;
 * {'leased', who, ms}: by somebody else. */
#define LUA_TAKE                                                               \
    "local mine = owner == ARGV[2] and token == ARGV[3]\n"                     \
    "if ARGV[1] == 'give' then\n"                                              \
    "  if mine then\n"                                                         \
    "    call('DEL', P .. 'none')\n"                                           \
    "    call('HSET', M, 'lease', owner .. ' ' .. token .. ' 0')\n"            \
    "  end\n"                                                                  \
    "  return {'ok'}\n"                                                        \
    "end\n"                                                                    \
    "if till > now and owner ~= ARGV[2] then\n"                                \
    "  return {'leased', call('HGET', M, 'leaser') or '', str(till - now)}\n"  \
    "end\n"                                                                    \
    "if till <= now or not mine then token = str(tonumber(token) + 1) end\n"   \
    "till = now + ARGV[4]\n"                                                   \
    "call('DEL', P .. 'none')\n"                                               \
    "call('HSET', M, 'leaser', ARGV[5], 'lease',\n"                            \
    "     ARGV[2] .. ' ' .. token .. ' ' .. str(till))\n"                      \
    "if till > tonumber(m[6] or 0) then\n"                                     \
    "  call('HSET', M, 'held', str(till))\n"                                   \
    "end\n"                                                                    \
    "local mark = call('HGET', M, 'b:' .. ARGV[2]) or '0 0'\n"                 \
    "local log, off = string.match(mark, '^(%d+) (%d+)$')\n"                   \
    "return {'ok', token, log, off}\n"

const char script_lease[] = LUA_BASE LUA_NAMES LUA_LAYOUT LUA_LEASE LUA_TAKE;

/* --- drain ---
 *
 * ARGV: 1 owner, 2 token, 3 flags (d nothing but deletes), 4 and 5 log and
 * offset where it begins, 6 and 7 where it ends; then changes: 's' n, and n
 * times key value rest-of-meta (no tags, no expiry); 'e' n rest-of-meta, and n
 * times key value, where it is the same; 'p' key value rest-of-meta tags
 * expiry; 'd' key; 'c' for a clear.
 *
 * {'ok', '1' if there is something to clean}, {'fenced'}: the lease is not
 * ours; {'gap'}: it does not begin where the last one ended, so that nothing is
 * done twice, or left out. */
#define LUA_FENCED                                                             \
    "if owner ~= ARGV[1] or token ~= ARGV[2] or till <= now then\n"            \
    "  return {'fenced'}\n"                                                    \
    "end\n"                                                                    \
    "local mark = call('HGET', M, 'b:' .. owner) or '0 0'\n"                   \
    "if mark ~= ARGV[4] .. ' ' .. ARGV[5] then return {'gap'} end\n"           \
    "types()\n"                                                                \
    "call('ZCARD', D)\n"

/* A clear of a machine that buffers cannot be taken back here: its rows may be
 * removed at once. `m[5]` must not say that nothing expires when something in
 * this call does. */
#define LUA_DRAINING                                                           \
    "if ARGV[3] == 'd' then call('DEL', P .. 'none') end\n"                    \
    "next_version()\n"                                                         \
    "local v = str(ver)\n"                                                     \
    "local soonest = m[5]\n"                                                   \
    "local function clear()\n"                                                 \
    "  settle()\n"                                                             \
    "  next_version()\n"                                                       \
    "  v = str(ver)\n"                                                         \
    "  call('ZADD', D, now - 60000, gen)\n"                                    \
    "  call('HSET', M, 'gen', v, 'expiry', '', 'dead', '1')\n"                 \
    "  soonest, m[5], m[7] = '', '', '1'\n"                                    \
    "  generation(v)\n"                                                        \
    "  named = {}\n"                                                           \
    "end\n"                                                                    \
    "local function write(key, o, value, meta, tags, exp)\n"                   \
    "  local new = o.row and string.match(o.row[1], '^%d+ (%d+) ') or v\n"     \
    "  put(key, o, value, v .. ' ' .. new .. ' ' .. meta, tags, exp)\n"        \
    "end\n"

/* What waits for flush() must be there when its key is changed again. */
#define LUA_AGAIN                                                              \
    "local seen = {}\n"                                                        \
    "local function settle()\n"                                                \
    "  if next(seen) then\n"                                                   \
    "    flush()\n"                                                            \
    "    seen = {}\n"                                                          \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "local function touch(key)\n"                                              \
    "  if seen[key] then settle() end\n"                                       \
    "  seen[key] = true\n"                                                     \
    "end\n"

/* Most changes are of this kind. Where nothing expires and nothing has tags, an
 * old row need not be looked at: version 0 inserted it. Whether there was one,
 * writing tells; it is guessed to be as with the row before, and a wrong guess
 * is mended. New ones go into the index in one call. */
#define LUA_PLAIN                                                              \
    "local mine = {}\n"                                                        \
    "local function plain(first, last, step, rest)\n"                          \
    "  local fresh, over = v .. ' ' .. v .. ' ', v .. ' 0 '\n"                 \
    "  if rest then fresh, over = fresh .. rest, over .. rest end\n"           \
    "  local rows, guess, add, k = B .. 'r:', over, {K}, 1\n"                  \
    "  for j = first, last, step do\n"                                         \
    "    local key = ARGV[j]\n"                                                \
    "    local was = call('HSET', rows .. key, 'value', ARGV[j + 1],\n"        \
    "      'meta', rest and guess or guess .. ARGV[j + 2]) == 0\n"             \
    "    local right = was and not mine[key] and over or fresh\n"              \
    "    if right ~= guess then\n"                                             \
    "      guess = right\n"                                                    \
    "      call('HSET', rows .. key, 'meta',\n"                                \
    "           rest and guess or guess .. ARGV[j + 2])\n"                     \
    "    end\n"                                                                \
    "    if not was then\n"                                                    \
    "      mine[key] = true\n"                                                 \
    "      add[k + 1], add[k + 2] = '0', key\n"                                \
    "      k = k + 2\n"                                                        \
    "    end\n"                                                                \
    "  end\n"                                                                  \
    "  if k > 1 then call('ZADD', unpack(add)) end\n"                          \
    "end\n"                                                                    \
    "local function puts(first, n, step, rest)\n"                              \
    "  local last = first + step * n - 1\n"                                    \
    "  settle()\n"                                                             \
    "  if m[5] == '' and call('EXISTS', G) == 0 then\n"                        \
    "    plain(first, last, step, rest)\n"                                     \
    "    return last + 1\n"                                                    \
    "  end\n"                                                                  \
    "  for j = first, last, step do\n"                                         \
    "    local key = ARGV[j]\n"                                                \
    "    touch(key)\n"                                                         \
    "    write(key, present(key, ''), ARGV[j + 1], rest or ARGV[j + 2],\n"     \
    "          '', '')\n"                                                      \
    "  end\n"                                                                  \
    "  return last + 1\n"                                                      \
    "end\n"

#define LUA_DRAIN                                                              \
    "local i = 8\n"                                                            \
    "while ARGV[i] do\n"                                                       \
    "  local op, key = ARGV[i], ARGV[i + 1]\n"                                 \
    "  if op == 's' then\n"                                                    \
    "    i = puts(i + 2, tonumber(key), 3)\n"                                  \
    "  elseif op == 'e' then\n"                                                \
    "    i = puts(i + 3, tonumber(key), 2, ARGV[i + 2])\n"                     \
    "  elseif op == 'p' then\n"                                                \
    "    local tags, exp = ARGV[i + 4], ARGV[i + 5]\n"                         \
    "    touch(key)\n"                                                         \
    "    write(key, present(key, tags), ARGV[i + 2], ARGV[i + 3], tags, "      \
    "exp)\n"                                                                   \
    "    if exp ~= '' and m[5] == '' then m[5] = '-' end\n"                    \
    "    i = i + 6\n"                                                          \
    "  elseif op == 'd' then\n"                                                \
    "    touch(key)\n"                                                         \
    "    drop(key, present(key, ''))\n"                                        \
    "    i = i + 2\n"                                                          \
    "  else\n"                                                                 \
    "    clear()\n"                                                            \
    "    i = i + 1\n"                                                          \
    "  end\n"                                                                  \
    "end\n"                                                                    \
    "flush()\n"                                                                \
    "forget_changes()\n"                                                       \
    "if soonest ~= '' and tonumber(soonest) < now then\n"                      \
    "  sweep(100)\n"                                                           \
    "  touched = true\n"                                                       \
    "end\n"                                                                    \
    "note_expiry()\n"                                                          \
    "call('HSET', M, 'b:' .. owner, ARGV[6] .. ' ' .. ARGV[7])\n"              \
    "return {'ok', m[7] or ''}\n"

const char script_drain[] =
    LUA_BASE LUA_NAMES LUA_LAYOUT LUA_TAGS LUA_ROWS LUA_VERSIONS LUA_LEASE
        LUA_FENCED LUA_AGAIN LUA_DRAINING LUA_PLAIN LUA_DRAIN;
