-- Look into the room without touching it.
--
-- KEYS[1]  the room
-- KEYS[2]  the line
--
-- Returns  the weight of all holders, or -1 if the key is something else; how many wait
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.pcall("ZSCORE", KEYS[1], "")
local used = type(held) == "string" and 0 - held or 0 - redis.call("EXISTS", KEYS[1])
for _, member in ipairs(used > 0 and redis.call("ZRANGEBYSCORE", KEYS[1], "(0", "(" .. now) or {}) do
  used = used - (string.match(member, ":(%d+)$") or 0)
end
local waiting = redis.pcall("LLEN", KEYS[2])
return { used, type(waiting) == "number" and waiting or 0 }
