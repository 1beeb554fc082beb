-- The state of the store for a script that has no writer.
local writer, keep = '', ''
include 'lib/look'
include 'lib/state'
include 'lib/names'
