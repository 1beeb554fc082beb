-- The tags of a row or of its line, as JSON, or ''.
local function tags_of(row)
  return string.match(row, '^[%w %-]* (%[[^\n]*)') or ''
end
