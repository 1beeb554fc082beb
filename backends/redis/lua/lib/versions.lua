-- Each commit has a version, one more than that of the commit before. The first
-- version, and the first after a change of the server, come from
-- lib/epochs.lua.
local function next_version()
  if ver > 0 and m[SERVER] == server then
    ver = ver + 1
  else
    include 'lib/epochs'
    if ver == 0 then
      first_version()
      return
    end
    local name = server_name()
    if m[SERVER] == name then ver = ver + 1 else begin_epoch(name) end
  end
  call('HSET', M, 'ver', str(ver))
end
local function forget_changes()
  floor = ver
  call('HSET', M, 'floor', str(ver), 'listed', str(ver))
  call('DEL', C)
end
