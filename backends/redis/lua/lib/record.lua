include 'lib/sizes'
-- A row is a line that describes it and, behind the line feed, its value
-- (docs/format.md, "Redis"): `<version>[ a<age>] <type><created_at>.. <tags>`.
-- The age is the number of versions since the row was inserted: nothing where
-- that is this version, ` a` alone where it is not known.
local function tags_of(row)
  return string.match(row, '^[%w %-]* (%[[^\n]*)') or ''
end
-- Version, 'a' or '', age, type, codec with what follows it or '', tags; and
-- where the value begins. Nothing: the line is damaged. (A byte of a set, as
-- `[%d ]`, takes Lua four times as long as one of a class.)
local function parts_of(row)
  return string.match(row, '^(%d+) (a?)(%d*) ?([nirtb])%-?%d+ ?u?%-?%d* ?' ..
                      'e?%-?%d* ?(c?%d* ?s?%d*) ?(%[?[^\n]*)\n()')
end
-- Version and age, in version v, a text, of what replaces a row that has these;
-- false: nothing is replaced.
local function born(v, was, known, age)
  if not was then return v end
  if known ~= '' and age == '' then return v .. ' a' end
  return v .. ' a' .. string.format('%.0f', v - was + (age == '' and 0 or age))
end
-- What has these names, many in one call: a text or false each. A row of
-- another type fails.
local function rows_of(names)
  local rows, none = call('MGET', unpack(names)), {}
  for j, name in ipairs(names) do
    if not rows[j] then none[#none + 1] = name end
  end
  if #none > 0 and call('EXISTS', unpack(none)) > 0 then
    for _, name in ipairs(none) do call('GET', name) end
  end
  return rows
end
