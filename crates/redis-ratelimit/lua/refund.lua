-- Give back what a request took from a bucket, by GCRA in whole ticks; a bucket that is empty then goes.
--
-- KEYS[1]  the bucket: when it will be empty, in microseconds, then ":" and the ticks beyond that if there are any
-- ARGV[1]  capacity of the bucket, ticks
-- ARGV[2]  what is given back, ticks
-- ARGV[3]  ticks per microsecond
-- ARGV[4]  how long the fullest bucket takes to empty, milliseconds
-- ARGV[5]  now, microseconds; empty = the server's clock
-- ARGV[6]  the most it holds where there are reservations, ticks; its capacity if there is none
--
-- Returns  the room in the bucket afterwards, ticks; negative where reservations wait
local capacity, cost, rate = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = tonumber(ARGV[5])
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000000 + time[2]
end
local stored = redis.call("GET", KEYS[1])
if not stored then
  return capacity
end
local at, rest = string.match(stored, "^(%d+):?(%d*)$")
if not at then
  return redis.error_reply("CORRUPT key holds no bucket")
end
local level = math.min((at - now) * rate + (tonumber(rest) or 0), tonumber(ARGV[6]) or capacity) - cost
if level <= 0 then
  redis.call("DEL", KEYS[1])
  return capacity
end
local value = string.format("%d", now + math.floor(level / rate))
rest = level % rate
if rest > 0 then
  value = value .. string.format(":%d", rest)
end
redis.call("SET", KEYS[1], value, "PX", ARGV[4])
return capacity - level
