-- A store with the layout of another version of nadb is not touched.
if layout and layout ~= SCRIPT_LAYOUT then return {'layout', layout} end
