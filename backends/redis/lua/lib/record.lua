include 'lib/sizes'
-- A row is a line that describes it, and after the line feed its value
-- (docs/format.md, "Redis"):
--
--   <version>[ a<age>] <type><created_at>.. <tags>
--
-- The age is the number of versions since the row was inserted: absent if it
-- was inserted by this version, ` a` alone if it is not known.
include 'lib/tags_of'
-- Returns version, 'a' or '', age, type, codec with its size or '', tags, and
-- the position of the value; nothing if the line is damaged. (In a pattern, Lua
-- takes four times as long for a set like `[%d ]` as for a class like `%d`.)
local function parts_of(row)
  return string.match(row, '^(%d+) (a?)(%d*) ?([nirtb])%-?%d+ ?u?%-?%d* ?' ..
                      'e?%-?%d* ?(c?%d* ?s?%d*) ?(%[?[^\n]*)\n()')
end
-- The version `v` (a text) and age of a row that replaces one with these
-- values; `was` is false if none is replaced.
local function born(v, was, known, age)
  if not was then return v end
  if known ~= '' and age == '' then return v .. ' a' end
  return v .. ' a' .. string.format('%.0f', v - was + (age == '' and 0 or age))
end
