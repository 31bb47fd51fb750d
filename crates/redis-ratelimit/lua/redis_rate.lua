-- Admit a request as go-redis/redis_rate v10 does: GCRA on the same state, by the same floating-point steps.
--
-- KEYS[1]  the bucket: when it will be empty, in seconds since 2017 with a fraction
-- ARGV[1]  burst, units
-- ARGV[2]  rate, units per period
-- ARGV[3]  period, seconds with a fraction
-- ARGV[4]  cost of the request, units; 0 looks and takes nothing
-- ARGV[5]  now, microseconds; empty = the server's clock
--
-- Returns  how long until the bucket is empty, nanoseconds, and how long to wait, microseconds: 0 if admitted
local cost = tonumber(ARGV[4])
local micros = tonumber(ARGV[5])
if not micros then
  local time = redis.call("TIME")
  micros = time[1] * 1000000 + time[2]
end
local function clock(at)
  return (math.floor(at / 1000000) - 1483228800) + (at % 1000000) / 1000000
end
local now = clock(micros)
local tat = now
local stored = redis.call("GET", KEYS[1])
if stored then
  if not string.match(stored, "^%d+%.?%d*$") then
    return redis.error_reply("CORRUPT key holds no bucket")
  end
  tat = math.max(tonumber(stored), now)
end
-- Where a key holds more than a hundred years, that many are told.
local function told(seconds, scale)
  local nearest = math.min(seconds, 4503599627) * scale + 0.5
  return math.floor(nearest)
end
local interval = ARGV[3] / ARGV[2]
local after = tat + interval * cost
local allow_at = after - interval * ARGV[1]
if allow_at > now then
  local wait = math.max(told(allow_at - now, 1000000), 1)
  if clock(micros + wait) < allow_at then
    wait = wait + 1
  end
  return { told(tat - now, 1000000000), wait }
end
local left = after - now
if cost > 0 and left > 0 then
  redis.call("SET", KEYS[1], string.format("%.17g", after), "EX", math.ceil(left))
end
return { told(left, 1000000000), 0 }
