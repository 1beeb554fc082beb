-- Reads the fields of `meta`, as text or false, and the server's clock.
-- `writer` is the name of the connection that calls, or ''.
local call = redis.call
local M = KEYS[1]
local P = string.sub(M, 1, -5)
local T = call('TIME')
local VER, GEN, FLOOR, LAYOUT, EXPIRY = 1, 2, 3, 4, 5
local HELD, DEAD, SERVER, SUM, FEED, LAST = 6, 7, 8, 9, 10, 11
local m = call('HMGET', M, 'ver', 'gen', 'floor', 'layout', 'expiry', 'held',
               'dead', 'server', 'sum', 'feed', 'w:' .. writer)
