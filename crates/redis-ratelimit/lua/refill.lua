-- Take a request from a bucket that gets some units back at the end of each period, if they are there.
--
-- KEYS[1]  the bucket: the microsecond at which the period began, ":" and the units that are missing
-- ARGV[1]  burst: units in a full bucket
-- ARGV[2]  units asked for
-- ARGV[3]  1 takes all of them or none, 2 as many as there are, 0 looks, -1 gives them back
-- ARGV[4]  period, microseconds
-- ARGV[5]  how long the key lives, milliseconds
-- ARGV[6]  now, microseconds; empty = the server's clock
-- ARGV[7]  limit: units that come back at the end of a period
--
-- Returns  units missing before that, and how long until the period is over, or would be that began now, microseconds
local burst, units, what, period = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0
local now, limit = tonumber(ARGV[6]), ARGV[7] + 0
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000000 + time[2]
end
local since, missing, ahead = now, 0, false
local stored = redis.call("GET", KEYS[1])
if stored then
  local at, lacking = string.match(stored, "^(%d+):(%d+)$")
  if not at then
    return redis.error_reply("CORRUPT key holds no window")
  end
  at, missing = tonumber(at), math.min(tonumber(lacking), burst)
  -- The clock went back: a period begins now, and that is written, so that it ends.
  ahead = at > now
  if not ahead then
    local periods = math.floor((now - at) / period)
    missing = math.max(missing - periods * limit, 0)
    if missing > 0 then
      since = at + periods * period
    end
  end
end
local room = burst - missing
local moved = 0
if what == 2 or what == 1 and units <= room then
  moved = math.min(units, room)
elseif what == -1 then
  moved = 0 - math.min(units, missing)
end
if missing + moved > 0 then
  if moved ~= 0 or ahead then
    redis.call("SET", KEYS[1], string.format("%d:%d", since, missing + moved), "PX", ARGV[5])
  end
elseif moved < 0 then
  redis.call("DEL", KEYS[1])
end
return { missing, since + period - now }
