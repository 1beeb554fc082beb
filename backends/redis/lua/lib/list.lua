-- The tags in a JSON array, or ''.
local decoded = {}
local function list(json)
  if not json or json == '' then return {} end
  local t = decoded[json]
  if not t then
    local ok
    ok, t = pcall(cjson.decode, json)
    if not ok or type(t) ~= 'table' then t = {} end
    decoded[json] = t
  end
  return t
end
