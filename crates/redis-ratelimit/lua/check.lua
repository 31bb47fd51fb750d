-- Admit a request if the bucket has room for its cost, by GCRA in whole ticks.
--
-- KEYS[1]  the bucket: when it will be empty, in microseconds, then ":" and the ticks beyond that if there are any
-- ARGV[1]  capacity of the bucket, ticks
-- ARGV[2]  cost of the request, ticks; 0 looks and takes nothing
-- ARGV[3]  ticks per microsecond
-- ARGV[4]  how long the fullest bucket takes to empty, milliseconds
-- ARGV[5]  now, microseconds; empty = the server's clock
-- ARGV[6]  the most it holds where there are reservations, ticks; its capacity if there is none
--
-- Returns  the room left in the bucket after the request, ticks; negative if denied: what is lacking
local capacity, cost, rate, now = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, tonumber(ARGV[5])
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000000 + time[2]
end
local level, clamped = 0, false
local stored = redis.call("GET", KEYS[1])
if stored then
  local at, rest = stored, 0
  if stored == "" or string.find(stored, "%D") then
    at, rest = string.match(stored, "^(%d+):(%d*)$")
    if not at then
      return redis.error_reply("CORRUPT key holds no bucket")
    end
    rest = tonumber(rest) or 0
  end
  level = (at - now) * rate + rest
  if level < 0 then
    level = 0
  end
  if level > capacity then
    -- The clock went back, or the limit was lowered: no more than it holds, and written back, so that it empties from now.
    local most = tonumber(ARGV[6]) or capacity
    clamped = level > most
    level = clamped and most or level
  end
end
local room = capacity - level - cost
if room >= 0 and cost > 0 then
  level = level + cost
elseif cost == 0 or not clamped then
  return room
end
local rest = level % rate
local value = now + (level - rest) / rate
if rest > 0 then
  value = string.format("%d:%d", value, rest)
end
redis.call("SET", KEYS[1], value, "PX", ARGV[4])
return room
