-- Leave the room and the line, after room.lua, and let in whoever now fits.
--
-- KEYS[1]  the room
-- KEYS[2]  the fence
-- KEYS[3]  the line
-- ARGV[1]  the holder, token:weight
-- ARGV[2]  ticket to take out of the line; missing for none
--
-- Returns  1 if it was inside, 0 if not, -1 if the key is something else
open(KEYS[1], KEYS[2], KEYS[3])
if not used then return -1 end
local token, weight = string.match(ARGV[1], "^(.+):(%d+)$")
local deadline = redis.call("ZSCORE", KEYS[1], ARGV[1])
if redis.call("ZREM", KEYS[1], ARGV[1]) == 1 then used = used - weight end
if ARGV[2] then
  redis.call("ZREM", KEYS[1], token)
  redis.pcall("LREM", KEYS[3], 0, ARGV[2])
  waiting = redis.pcall("LLEN", KEYS[3])
end
let_in(nil)
settle()
return deadline and tonumber(deadline) >= now and 1 or 0
