-- mend.lua - finds and repairs keys of the store that have another type, or
-- that are gone although other keys refer to them.
--
-- what      verify: checks the state and the index only
--           look: checks, and changes nothing
--           mend: removes keys of another type; makes a lost `meta` anew, with
--             the generation and version that were found
--           find: for the names after `found_ver`, returns the generation and
--             the highest version of their rows
--           adopt: for those names, adds rows of the generation to the index,
--             and notes other generations for removal
-- found_gen, found_ver   the result of `find`, or ''
--
-- Then names of keys; for look, the arguments of a script that has failed, or
-- nothing: the rows and tags that they name are checked, too.
--
-- Returns {'meta' or 'keys' if the caller must search the server for keys, else
-- false; problem, ..}; `find` returns {generation, version}, texts or false.
local what, found_gen, found_ver = unpack(ARGV, 1, 3)
local first_name = 4
local call = redis.call
local function str(n) return string.format('%.0f', n) end
include 'lib/odd'
local out, mended = {false}, false
local function bad(problem, cure)
  if not problem then return false end
  out[#out + 1] = problem
  if what == 'mend' then
    mended = true
    cure()
  end
  return true
end
local M = KEYS[1]
local P = string.sub(M, 1, -5)
if what == 'mend' or what == 'adopt' then call('DEL', P .. 'none') end
if bad(odd(M, 'hash'), function() call('DEL', M) end) and what ~= 'mend' then
  return out
end
include 'lib/store'
include 'lib/layout'
include 'lib/tags'
include 'lib/record'
include 'lib/line'
include 'lib/rows'
local txn
include 'lib/locks'
local server = ''
include 'lib/versions'
include 'lib/changes'

-- Calls f(generation, key of a row or nil) for each name of the arguments.
local function each_name(f)
  for j = first_name, #ARGV do
    local rest = string.sub(ARGV[j], #P + 1)
    local g = string.match(rest, '^(%d+):')
    if g and string.sub(ARGV[j], 1, #P) == P then
      f(g, string.match(rest, '^%d+:r:(.*)$'))
    end
  end
end
local function version_of(g, key)
  local r = redis.pcall('GETRANGE', P .. g .. ':r:' .. key, 0, 16)
  return type(r) == 'string' and string.match(r, '^(%d+) ') or nil
end
if what == 'find' then
  local best, last = false, '0'
  each_name(function(g, key)
    local v = key and version_of(g, key)
    if v and tonumber(v) > tonumber(last) then last = v end
    local cleared = redis.pcall('ZSCORE', D, g)
    if type(cleared) ~= 'string' and
       (not best or tonumber(g) > tonumber(best)) then
      best = g
    end
  end)
  return {best, last}
end
if what == 'adopt' then
  each_name(function(g, key)
    if g ~= gen and not call('ZSCORE', D, g) then
      call('ZADD', D, now - 60000, g)
      call('HSET', M, 'dead', '1')
    elseif g == gen and key and version_of(g, key) then
      call('ZADD', K, 0, key)
      call('HDEL', M, 'sum')
    end
  end)
  return {false}
end

include 'lib/lost'
include 'lib/is_lost'
if is_lost() then
  out[#out + 1] = missing(M)
  if what ~= 'mend' then return out end
  if found_gen == '' then
    out[1] = 'meta'
    return out
  end
  include 'lib/epochs'
  first_version()
  sum, sum_changed = false, true
  ver = math.max(ver, tonumber(found_ver)) + 2^36
  generation(found_gen)
  call('HSET', M, 'ver', str(ver), 'gen', gen, 'since', str(ver),
       'dead', call('EXISTS', D) == 1 and '1' or '')
  m[DEAD] = call('HGET', M, 'dead')
  forget_changes()
  touched = true
end
if ver == 0 then return out end
if what == 'verify' then
  bad(odd(K, 'zset') or index_is_lost() and missing(K))
  return out
end

local function gone(name)
  return call('EXISTS', name) == 0 and missing(name) or nil
end
local function unlink(name) return function() call('UNLINK', name) end end
for _, x in ipairs({{X, 'zset'}, {E, 'hash'}, {G, 'zset'}, {L, 'hash'},
                    {Y, 'hash'}, {I, 'hash'}, {O, 'hash'}, {Z, 'hash'},
                    {F, 'stream'}}) do
  bad(odd(x[1], x[2]), unlink(x[1]))
end
local writers = {}
if call('TYPE', R).ok ~= 'zset' then
  for _, field in ipairs(call('HKEYS', M)) do
    writers[#writers + 1] = string.match(field, '^w:(.*)$')
  end
end
bad(odd(R, 'zset') or #writers > 0 and missing(R), function()
  call('DEL', R)
  for _, name in ipairs(writers) do call('ZADD', R, now, name) end
end)
bad(odd(C, 'list') or is_cut() and missing(C), forget_changes)
if bad(odd(D, 'zset'), unlink(D)) or
   bad(m[DEAD] ~= '' and gone(D), function() end) then
  out[1] = 'keys'
  if what == 'mend' then call('HSET', M, 'dead', '') end
end
if what == 'look' and #out > 1 then return out end
if bad(odd(K, 'zset'), unlink(K)) or
   bad(index_is_lost() and missing(K), function() end) then
  out[1] = 'keys'
end
bad(expiry_is_lost() and missing(X), function() touched = true end)
-- `locks` and `intents` belong together: if one is lost, the other is removed.
local function unheld()
  if call('EXISTS', I) == 0 then
    call('DEL', O)
    call('HSET', M, 'held', '0')
  end
end
if has_locks or call('EXISTS', I) == 1 then
  if call('EXISTS', I) == 0 then
    bad(missing(I), unheld)
  elseif call('EXISTS', O) == 0 then
    bad(missing(O), function()
      call('DEL', I)
      unheld()
    end)
  end
end

-- Checks the keys named by the arguments of a script that has failed.
local function nothing() end
local function look_at_tags(json)
  if string.sub(json, 1, 1) ~= '[' then return end
  for _, t in ipairs(list(json)) do
    bad(odd(B .. 't:' .. t, 'zset'), nothing)
  end
end
local function look_at(args, first)
  for j = first, #args do
    local x = args[j]
    bad(odd(B .. 't:' .. x, 'zset'), nothing)
    look_at_tags(x)
    if not bad(odd(B .. 'r:' .. x, 'string'), nothing) then
      look_at_tags(tags_of(line_of(x)))
    end
    local packed = args == ARGV and call('HGET', I, x)
    if packed then look_at(cmsgpack.unpack(packed), 1) end
  end
end
if what == 'look' and #out == 1 and first_name <= #ARGV then
  look_at(ARGV, first_name)
  for _, t in ipairs(#out == 1 and call('ZRANGE', G, 0, 9999) or {}) do
    bad(odd(B .. 't:' .. t, 'zset'), nothing)
  end
end
if mended then sum, sum_changed = false, true end
include 'lib/note_sum'
note_expiry()
return out
