-- Prolong the lease of a holder who is inside the room.
--
-- KEYS[1]  the room
-- ARGV[1]  the holder, token:weight
-- ARGV[2]  lease from now, milliseconds
--
-- Returns  1 if prolonged, 0 if it is not inside, -1 if the key is something else
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local deadline = redis.pcall("ZSCORE", KEYS[1], ARGV[1])
if type(deadline) == "table" then return -1 end
if not deadline or tonumber(deadline) < now then return 0 end
redis.call("ZADD", KEYS[1], now + ARGV[2], ARGV[1])
return redis.call("PEXPIREAT", KEYS[1], redis.call("ZRANGE", KEYS[1], -1, -1, "WITHSCORES")[2])
