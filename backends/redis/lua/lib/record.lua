include 'lib/sizes'
-- A row is a line that describes it and, behind the line feed, its value
-- (docs/format.md, "Redis"): `<version>[ a<age>] <type><created_at>.. <tags>`.
-- The age is the number of versions since the row was inserted: nothing where
-- that is this version, ` a` alone where it is not known.
local function tags_of(row)
  return string.match(row, '^[%w %-]* (%[[^\n]*)') or ''
end
-- Version and age of what replaces `row` (false: nothing) in version v, a text.
local function born(row, v)
  local was, known, age = string.match(row or '', '^(%d+) (a?)(%d*)')
  if not was then return v end
  if known ~= '' and age == '' then return v .. ' a' end
  return v .. ' a' .. string.format('%.0f', v - was + (tonumber(age) or 0))
end
