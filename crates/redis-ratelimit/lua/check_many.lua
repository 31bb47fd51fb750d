-- Admit many requests, each by GCRA in whole ticks and on its own, as check.lua would one after the other.
--
-- KEYS[1..]  the bucket of each run of requests for the same cost; one that has several runs is there several times
-- ARGV[1]  capacity of a bucket, ticks
-- ARGV[2]  ticks per microsecond
-- ARGV[3]  how long a full bucket takes to empty, milliseconds
-- ARGV[4]  now, microseconds; empty = the server's clock
-- ARGV[5..]  of each run: the cost of a request, ticks, and how many requests there are
--
-- Returns  of each run: the room in the bucket before it, ticks, of which as many are admitted as fit; or the code of an error
local find, match, format, floor = string.find, string.match, string.format, math.floor
local capacity, rate, ttl = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local now = tonumber(ARGV[4])
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000000 + time[2]
end
local rooms = {}
for i, bucket in ipairs(KEYS) do
  local cost, count = tonumber(ARGV[2 * i + 3]), tonumber(ARGV[2 * i + 4])
  local level, clamped, fault = 0, false, nil
  local stored = redis.pcall("GET", bucket)
  if type(stored) == "table" then
    fault = match(stored.err, "^%S+")
  elseif stored then
    local at, rest = stored, 0
    if not find(stored, "^%d+$") then
      at, rest = match(stored, "^(%d+):(%d*)$")
    end
    if at then
      level = (at - now) * rate + (tonumber(rest) or 0)
      if level < 0 then
        level = 0
      end
      clamped = level > capacity
      if clamped then
        level = capacity
      end
    else
      fault = "CORRUPT"
    end
  end
  local room = capacity - level
  rooms[i] = fault or room
  local taken = 0
  if not fault and cost > 0 then
    taken = math.min(count, floor(room / cost))
  end
  if taken > 0 or (clamped and cost > 0) then
    level = level + taken * cost
    local value, rest = format("%d", now + floor(level / rate)), level % rate
    if rest > 0 then
      value = value .. format(":%d", rest)
    end
    redis.call("SET", bucket, value, "PX", ttl)
  end
end
return rooms
