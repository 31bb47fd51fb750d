-- Give back what a reservation took, unless the bucket has changed since.
--
-- KEYS[1]  the bucket: when it will be empty, in microseconds, then ":" and the ticks beyond that if there are any
-- ARGV[1]  what the bucket held after the reservation
-- ARGV[2]  what the reservation took, ticks
-- ARGV[3]  ticks per microsecond
-- ARGV[4]  how long the fullest bucket takes to empty, milliseconds
-- ARGV[5]  now, microseconds; empty = the server's clock
--
-- Returns  1 if it is given back, 0 if the bucket has changed
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return 0
end
local rate, now = tonumber(ARGV[3]), tonumber(ARGV[5])
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000000 + time[2]
end
local at, rest = string.match(ARGV[1], "^(%d+):?(%d*)$")
if not at then
  return redis.error_reply("CORRUPT key holds no bucket")
end
local level = (at - now) * rate + (tonumber(rest) or 0) - ARGV[2]
if level <= 0 then
  redis.call("DEL", KEYS[1])
  return 1
end
rest = level % rate
local value = string.format("%d", now + (level - rest) / rate)
if rest > 0 then
  value = value .. string.format(":%d", rest)
end
redis.call("SET", KEYS[1], value, "PX", ARGV[4])
return 1
