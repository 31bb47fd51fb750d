-- Admit many requests, each by GCRA in whole ticks and on its own, as check.lua would one after the other.
--
-- KEYS[1..]  the bucket of each run of requests for the same cost; one that has several runs is there several times
-- ARGV[1]  capacity of a bucket, ticks
-- ARGV[2]  ticks per microsecond
-- ARGV[3]  how long the fullest bucket takes to empty, milliseconds
-- ARGV[4]  now, microseconds; empty = the server's clock
-- ARGV[5..]  of each run: the cost of a request, ticks, and how many requests there are; then the most that a bucket holds where there
--            are reservations, ticks
--
-- Returns  of each run: the room in the bucket before it, ticks, of which as many are admitted as fit; or the code of an error
local find, call, pcall = string.find, redis.call, redis.pcall
local capacity, rate, ttl = ARGV[1] + 0, ARGV[2] + 0, ARGV[3]
local now = tonumber(ARGV[4])
if not now then
  local time = call("TIME")
  now = time[1] * 1000000 + time[2]
end
local rooms = {}
for i = 1, #KEYS do
  local bucket, cost, count = KEYS[i], ARGV[2 * i + 3] + 0, ARGV[2 * i + 4] + 0
  local level, clamped, fault = 0, false, nil
  local stored = pcall("GET", bucket)
  if type(stored) == "table" then
    fault = string.match(stored.err, "^%S+")
  elseif stored then
    local at, rest = stored, 0
    if stored == "" or find(stored, "%D") then
      at, rest = string.match(stored, "^(%d+):(%d*)$")
      rest = tonumber(rest) or 0
    end
    if at then
      level = (at - now) * rate + rest
      if level < 0 then
        level = 0
      end
      if level > capacity then
        local most = tonumber(ARGV[2 * #KEYS + 5]) or capacity
        clamped = level > most
        level = clamped and most or level
      end
    else
      fault = "CORRUPT"
    end
  end
  local room = capacity - level
  rooms[i] = fault or room
  if not fault and cost > 0 then
    local taken = (room - room % cost) / cost
    if taken > count then
      taken = count
    elseif taken < 0 then
      taken = 0
    end
    if taken > 0 or clamped then
      level = level + taken * cost
      local rest = level % rate
      local value = now + (level - rest) / rate
      if rest > 0 then
        value = string.format("%d:%d", value, rest)
      end
      call("SET", bucket, value, "PX", ttl)
    end
  end
end
return rooms
