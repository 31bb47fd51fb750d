-- Admit a request for when its bucket has room for its cost, if that is soon enough, by GCRA in whole ticks.
--
-- KEYS[1]  the bucket: when it will be empty, in microseconds, then ":" and the ticks beyond that if there are any
-- ARGV[1]  capacity of the bucket, ticks
-- ARGV[2]  cost of the request, ticks
-- ARGV[3]  ticks per microsecond
-- ARGV[4]  how long the fullest bucket takes to empty, milliseconds
-- ARGV[5]  now, microseconds; empty = the server's clock
-- ARGV[6]  the most the bucket holds, reservations included, ticks
-- ARGV[7]  how long the request may wait, as the ticks that drain meanwhile
--
-- Returns  the room left in the bucket, ticks: if negative, the request is due when as much has drained; and when the bucket will be
--          empty, microseconds. Or what is lacking in a bucket that stays as it was, negative, and 0
local capacity, cost, rate, most = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[6] + 0
local now = tonumber(ARGV[5])
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000000 + time[2]
end
local level, clamped = 0, false
local stored = redis.call("GET", KEYS[1])
if stored then
  local at, rest = string.match(stored, "^(%d+):?(%d*)$")
  if not at then
    return redis.error_reply("CORRUPT key holds no bucket")
  end
  level = math.max((at - now) * rate + (tonumber(rest) or 0), 0)
  clamped = level > most
  level = math.min(level, most)
end
local room = capacity - level - cost
local admitted = room + ARGV[7] >= 0
if admitted then
  level = level + cost
elseif not clamped then
  return { room, 0 }
end
local rest = level % rate
local at = now + (level - rest) / rate
local value = string.format("%d", at)
if rest > 0 then
  value = value .. string.format(":%d", rest)
end
redis.call("SET", KEYS[1], value, "PX", ARGV[4])
return { room, admitted and at or 0 }
