-- Count a request in a window, if it is admitted with the share of the window before that is still within a period.
--
-- KEYS[1]  the windows: the microsecond at which the newer one began, ":", the units taken in the older one, ":", those in the newer
-- ARGV[1]  limit, units
-- ARGV[2]  units asked for
-- ARGV[3]  1 takes all of them or none, 2 as many as there are, 0 looks, -1 gives them back
-- ARGV[4]  length of a window, microseconds
-- ARGV[5]  how long the key lives, milliseconds
-- ARGV[6]  now, microseconds; empty = the server's clock
-- ARGV[7]  by how many microseconds the share falls at a time
--
-- Returns  units taken before that in the older window, those in the newer one, and how long ago that began, microseconds
local limit, units, what, period = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0
local now, step = tonumber(ARGV[6]), ARGV[7] + 0
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000000 + time[2]
end
local elapsed = now % period
local start = now - elapsed
local before, used, ahead = 0, 0, false
local stored = redis.call("GET", KEYS[1])
if stored then
  local at, older, newer = string.match(stored, "^(%d+):(%d+):(%d+)$")
  if not at then
    return redis.error_reply("CORRUPT key holds no window")
  end
  at, newer = tonumber(at), math.min(tonumber(newer), 9007199254740992)
  if at >= start then
    -- Ahead where the clock went back: nobody waits longer than two windows, and that is written, so that they end.
    before, used, ahead = math.min(tonumber(older), 9007199254740992), newer, at > start
  elseif at >= start - period then
    before = newer
  end
end
local reply = { before, used, elapsed }
local steps = math.ceil(period / step)
local weight = math.ceil(math.min(before, limit) * (steps - math.floor(elapsed / step)) / steps)
local room = math.max(limit - used - weight, 0)
local moved = 0
if what == 2 or what == 1 and units <= room then
  moved = math.min(units, room)
elseif what == -1 then
  moved = 0 - math.min(units, used + before)
end
used = used + moved
if used < 0 then
  before, used = before + used, 0
end
if used + before > 0 then
  if moved ~= 0 or ahead then
    redis.call("SET", KEYS[1], string.format("%d:%d:%d", start, before, used), "PX", ARGV[5])
  end
elseif moved < 0 then
  redis.call("DEL", KEYS[1])
end
return reply
