-- Applies the changes. Deleting must be possible when the server is full, so
-- the first write is a DEL, which is always allowed; after it the server lets
-- the script finish.
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
    -- The rows that have come back cannot be listed.
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
    -- If the server has expired the row, its entry in `expiry` is still there.
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

-- Housekeeping, some with every commit: cuts the list of changes, removes
-- expired rows from index and tags, and removes rows that an old clear has
-- left.
if (n > 16 or ver % 100 == 0) and not clear and logged then
  include 'lib/cut_changes'
  cut_changes()
end
if m[EXPIRY] ~= '' and tonumber(m[EXPIRY]) < now then
  include 'lib/sweep'
  sweep(10)
end
note_expiry()
if m[DEAD] ~= '' then
  local dead = call('ZRANGEBYSCORE', D, '-inf', str(now - 60000),
                    'LIMIT', 0, 1)[1]
  if dead then
    include 'lib/remove'
    remove(dead, 50)
  end
end
if claimed ~= '' then
  include 'lib/claims'
  release(claimed)
end
