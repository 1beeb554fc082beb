-- The state of the store for a script that only reads rows. It is less than
-- that of lib/store.lua: each field of `meta` takes the server as long as a
-- row.
local call = redis.call
local M = KEYS[1]
local m = call('HMGET', M, 'ver', 'gen', 'layout')
local ver, gen = m[1] or '0', m[2] or '0'
local layout = m[3] or (m[1] and '1')
include 'lib/layout'
if wanted_gen ~= '' then gen = wanted_gen end
local B = string.sub(M, 1, -5) .. gen .. ':'
local K, G = B .. 'keys', B .. 'tags'
