-- Free the slots of a holder.
--
-- KEYS[1]  the slots
-- ARGV[1]  the holder, token:count
--
-- Returns  1 if they were occupied, 0 if the lease was over
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local deadline = redis.call("ZSCORE", KEYS[1], ARGV[1])
if not deadline then return 0 end
redis.call("ZREM", KEYS[1], ARGV[1])
local left = redis.call("ZINCRBY", KEYS[1], string.match(ARGV[1], ":(%d+)$"), "")
if tonumber(left) >= 0 then redis.call("DEL", KEYS[1]) end
return tonumber(deadline) > now and 1 or 0
