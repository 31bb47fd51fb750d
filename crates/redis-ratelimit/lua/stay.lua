-- Prolong the lease of slots that are still occupied.
--
-- KEYS[1]  the slots
-- ARGV[1]  the holder, token:count
-- ARGV[2]  lease from now, milliseconds
--
-- Returns  1 if prolonged, 0 if the lease is over
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local deadline = redis.call("ZSCORE", KEYS[1], ARGV[1])
if not deadline or tonumber(deadline) <= now then return 0 end
redis.call("ZADD", KEYS[1], now + ARGV[2], ARGV[1])
return redis.call("PEXPIREAT", KEYS[1], redis.call("ZRANGE", KEYS[1], -1, -1, "WITHSCORES")[2])
