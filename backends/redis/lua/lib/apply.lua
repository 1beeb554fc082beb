-- Makes the changes. Deleting must be possible when the server is full: a write
-- that is always allowed comes first, after which the server lets a script
-- finish.
if string.find(flags, '[du]') then call('DEL', P .. 'none') end
local before, cut = str(ver), is_cut()
next_version()
local v = str(ver)
local cleared = false
if clear or restore ~= '' then
  include 'lib/generations'
  if clear then
    cleared = gen
    new_generation(v, 0)
    if feed then feed_note('c', '') end
  else
    old_generation(restore)
    -- Which rows have come back cannot be listed.
    if feed then feed_forget() end
  end
end
local logged = n <= LOG_MAX
if clear or restore ~= '' or not logged or cut then forget_changes() end
local rows, listed = {}, {}
i = changes
for c = 1, n do
  local op, key, o = ARGV[i], ARGV[i + 1], old[c]
  if op == 'd' then
    drop(key, o)
    local due = o.exp and tonumber(o.exp) <= now
    -- Of a row that the server has expired, its expiry is left.
    if feed and (o.row or due) then feed_note(due and 'x' or 'd', key) end
    i = i + 2
  else
    local was, known, age, rest = o.was, o.known, o.age, ARGV[i + 3]
    if op == 'r' then
      was, known, age, rest = string.match(rest, '^(%d+) (a?)(%d*) ?(.*)$')
    end
    put(key, o, ARGV[i + 2], born(v, was, known, age), rest, ARGV[i + 4],
        ARGV[i + 5])
    i = i + 6
  end
  rows[c] = o.row
  if logged then listed[#listed + 1] = v .. ' ' .. key end
  if #listed == 500 or logged and c == n then
    call('RPUSH', C, unpack(listed))
    listed = {}
  end
end
flush()

-- Housekeeping, a little with every commit: the list of changes is cut, what
-- the server has expired is taken out of index and tags, and what an old clear
-- left behind is removed.
if (n > 16 or ver % 100 == 0) and not clear and logged then cut_changes() end
if m[EXPIRY] ~= '' and tonumber(m[EXPIRY]) < now then sweep(10) end
note_expiry()
if m[DEAD] ~= '' then
  local dead = call('ZRANGEBYSCORE', D, '-inf', str(now - 60000),
                    'LIMIT', 0, 1)[1]
  if dead then
    include 'lib/remove'
    remove(dead, 50)
  end
end
if claimed ~= '' then release(claimed) end
