-- Occupy slots if as many are free, once those whose lease is over are free again.
--
-- KEYS[1]  the slots: each holder, token:count, by the server's time in milliseconds at which its lease ends; and minus the number of
--          all that are occupied under the empty name
-- ARGV[1]  the holder to be, token:count
-- ARGV[2]  lease, milliseconds
-- ARGV[3]  how many slots there are
--
-- Returns  how many are free after that (>= 0), or if there are too few an array: how many are free, and how many milliseconds until the next lease ends
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stored = redis.call("ZSCORE", KEYS[1], "")
if not stored and redis.call("EXISTS", KEYS[1]) == 1 then
  return redis.error_reply("CORRUPT key holds no slots")
end
local used, over = 0 - (stored or 0), redis.call("ZRANGEBYSCORE", KEYS[1], "(0", now)
for _, holder in ipairs(over) do
  redis.call("ZREM", KEYS[1], holder)
  used = used - string.match(holder, ":(%d+)$")
end
local count = tonumber(string.match(ARGV[1], ":(%d+)$"))
-- Whoever asks again is not two.
local held = redis.call("ZSCORE", KEYS[1], ARGV[1]) and count or 0
local free = tonumber(ARGV[3]) - used + held
if count <= free then
  redis.call("ZADD", KEYS[1], held - used - count, "", now + ARGV[2], ARGV[1])
elseif #over > 0 then
  redis.call("ZADD", KEYS[1], 0 - used, "")
end
if count <= free or #over > 0 then
  -- The latest deadline; where nobody is left there is none, and the key goes.
  redis.call("PEXPIREAT", KEYS[1], redis.call("ZRANGE", KEYS[1], -1, -1, "WITHSCORES")[2])
end
if count <= free then return free - count end
local next = redis.call("ZRANGEBYSCORE", KEYS[1], "(0", "+inf", "WITHSCORES", "LIMIT", 0, 1)[2]
return { math.max(free, 0), next and next - now or 0 }
