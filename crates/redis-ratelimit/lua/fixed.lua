-- Count a request in a window of a fixed length, if it is admitted.
--
-- KEYS[1]  the window: the microsecond at which it is over, ":" and the units taken in it
-- ARGV[1]  limit, units
-- ARGV[2]  units asked for
-- ARGV[3]  1 takes all of them or none, 2 as many as there are, 0 looks, -1 gives them back
-- ARGV[4]  length of a window, microseconds
-- ARGV[5]  how long the key lives, milliseconds
-- ARGV[6]  now, microseconds; empty = the server's clock
-- ARGV[7]  1 = windows are counted from 1970, 0 = from the first request
--
-- Returns  units taken before that, and how long until the window is over, or would be that began now, microseconds
local limit, units, what, period = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0
local now = tonumber(ARGV[6])
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000000 + time[2]
end
local till = now + period
if ARGV[7] == "1" then
  till = till - now % period
end
local used, ahead = 0, false
local stored = redis.call("GET", KEYS[1])
if stored then
  local at, count = string.match(stored, "^(%d+):(%d+)$")
  if not at then
    return redis.error_reply("CORRUPT key holds no window")
  end
  at = tonumber(at)
  if at > now then
    used = math.min(tonumber(count), 9007199254740992)
    -- The clock went back: nobody waits longer than a window, and that is written, so that it ends.
    ahead = at > till
    till = math.min(at, till)
  end
end
local room = math.max(limit - used, 0)
local moved = 0
if what == 2 or what == 1 and units <= room then
  moved = math.min(units, room)
elseif what == -1 then
  moved = 0 - math.min(units, used)
end
if used + moved > 0 then
  if moved ~= 0 or ahead then
    redis.call("SET", KEYS[1], string.format("%d:%d", till, used + moved), "PX", ARGV[5])
  end
elseif moved < 0 then
  redis.call("DEL", KEYS[1])
end
return { used, till - now }
