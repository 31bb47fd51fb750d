-- Admit a request that several limits have to allow, by GCRA in whole ticks: all of them are charged, or none.
--
-- KEYS[1..]  the bucket of each limit
-- ARGV[1]  now, microseconds; empty = the server's clock
-- ARGV[2..]  of each limit: capacity of the bucket, ticks; cost of the request, ticks; ticks per microsecond; and how long a full bucket
--            takes to empty, milliseconds
--
-- Returns  of each limit the room in its bucket before the request, ticks: it is admitted if all have room for their cost
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000000 + time[2]
end
local rooms, levels, clamped, admitted = {}, {}, {}, true
for i, bucket in ipairs(KEYS) do
  local at = 4 * i - 2
  local capacity, cost, rate = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local stored = redis.call("GET", bucket)
  levels[i] = 0
  if stored then
    local empty_at, rest = string.match(stored, "^(%d+):?(%d*)$")
    if not empty_at then
      return redis.error_reply("CORRUPT key holds no bucket")
    end
    local level = math.max((empty_at - now) * rate + (tonumber(rest) or 0), 0)
    clamped[i] = level > capacity and cost > 0
    levels[i] = math.min(level, capacity)
  end
  rooms[i] = capacity - levels[i]
  admitted = admitted and rooms[i] >= cost
end
for i, bucket in ipairs(KEYS) do
  local at = 4 * i - 2
  local cost, rate = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  -- A bucket that was more than full is written back whatever becomes of the request, so that it empties from now.
  if clamped[i] or admitted and cost > 0 then
    local level = levels[i] + (admitted and cost or 0)
    local value = string.format("%d", now + math.floor(level / rate))
    local rest = level % rate
    if rest > 0 then
      value = value .. string.format(":%d", rest)
    end
    redis.call("SET", bucket, value, "PX", ARGV[at + 3])
  end
end
return rooms
