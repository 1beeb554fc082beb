-- The feed: a stream of changes, for nadb_changes().
--
-- entry       `<version>-<n>`: field `p` put, `d` deleted, `x` expired or `c`
--             cleared, with the key; in the first of a version also `t`, ms
-- meta.feed   `<floor> <last> <have> <ms> <most>`
--   floor     all changes after this version are in the stream
--   last      version of the last entry
--   have      bytes of the keys in the stream
--   ms, most  how much is kept; without meta.feed, nothing is kept
-- keep        `<ms> <most>` of the caller's option, or ''
--
-- If nothing is kept, `feed` is nil and its functions are not created: creating
-- them would take longer than a small commit.
local feed, feed_forget, feed_is_cut, feed_begin, feed_note, feed_end
if m[FEED] or keep ~= '' then
  local f_floor, f_last, f_have, f_ms, f_most =
    string.match(m[FEED] or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
  if f_floor then
    feed = {floor = tonumber(f_floor), last = tonumber(f_last),
            have = tonumber(f_have), ms = tonumber(f_ms),
            most = tonumber(f_most), n = 0}
  end
  local ms, most = string.match(keep, '^(%d+) (%d+)$')
  if ms then
    feed = feed or {floor = ver, last = 0, have = 0, ms = 0, most = 0, n = 0,
                    changed = true, fresh = true}
    if tonumber(ms) > feed.ms or tonumber(most) > feed.most then
      feed.ms = math.max(feed.ms, tonumber(ms))
      feed.most = math.max(feed.most, tonumber(most))
      feed.changed = true
    end
  end
  feed_forget = function()
    call('DEL', F)
    feed.floor, feed.last, feed.have = ver, 0, 0
    feed.changed, feed.fresh = true, false
  end
  -- True if entries of the stream were removed by another program.
  feed_is_cut = function()
    if feed.last <= feed.floor then return false end
    local entry = call('XREVRANGE', F, '+', '-', 'COUNT', 1)[1]
    return not entry or tonumber(string.match(entry[1], '^%d+')) ~= feed.last
  end
  -- Call before the first change: finds out that entries are missing, or that
  -- the key has another type.
  feed_begin = function()
    feed.begun = true
    if feed_is_cut() then
      feed.floor, feed.last, feed.have, feed.changed = ver, 0, 0, true
    end
  end
  feed_note = function(op, key)
    -- The present entries belong to a `meta` that was lost.
    if feed.fresh then
      local floor = feed.floor
      feed_forget()
      feed.floor = floor
    end
    local id = str(ver) .. '-' .. str(feed.n)
    if feed.n == 0 then
      call('XADD', F, id, op, key, 't', str(now))
    else
      call('XADD', F, id, op, key)
    end
    feed.n = feed.n + 1
    feed.last, feed.have = ver, feed.have + #key
    feed.changed = true
  end
  -- Drops changes that need not be kept: whole versions, and at most some more
  -- entries than were added. Of a version with more entries than that, the
  -- first part is dropped, and the version counts as dropped.
  feed_end = function()
    if not feed.begun then return end
    local most = 2 * feed.n + 20
    local list = call('XRANGE', F, '-', '+', 'COUNT', most)
    local function version_at(i)
      return list[i] and string.match(list[i][1], '^%d+')
    end
    local i, from = 1, nil
    while list[i] do
      local v, j, bytes = version_at(i), i, 0
      while version_at(j) == v do
        bytes = bytes + #list[j][2][2]
        j = j + 1
      end
      local at = tonumber(v) > feed.floor and list[i][2][4] or 0
      if v == str(ver) or feed.most > 0 and feed.have - bytes < feed.most or
         feed.ms > 0 and tonumber(at) >= now - feed.ms or
         not list[j] and #list < most then break end
      feed.have = feed.have - bytes
      feed.floor = tonumber(v)
      from = list[j] and list[j][1] or list[j - 1][1]
      if not list[j] then feed.have = feed.have + #list[j - 1][2][2] end
      i = j
    end
    if from then
      call('XTRIM', F, 'MINID', from)
      feed.changed = true
    end
    if feed.changed then
      call('HSET', M, 'feed', str(feed.floor) .. ' ' .. str(feed.last) .. ' ' ..
           str(feed.have) .. ' ' .. str(feed.ms) .. ' ' .. str(feed.most))
    end
  end
end
