-- A store with the layout of another version of nadb is left alone.
if layout and layout ~= SCRIPT_LAYOUT then return {'layout', layout} end
