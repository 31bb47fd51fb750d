-- Log a request, if it is admitted with all that were within a period.
--
-- KEYS[1]  the log: records of 7 and 5 bytes, high byte first, in order of time: a microsecond, and the units logged up to and with it; before
--          them one that has "sliding" in place of a time, with the units that are no longer there
-- ARGV[1]  limit, units
-- ARGV[2]  units asked for
-- ARGV[3]  1 takes all of them or none, 2 as many as there are, 0 looks, -1 gives them back
-- ARGV[4]  period, microseconds
-- ARGV[5]  how long the key lives, milliseconds
-- ARGV[6]  now, microseconds; empty = the server's clock
--
-- Returns  units taken before that, and how long until the last of them are free and until there is room for what was asked for, microseconds
local log, limit, units, what, period = KEYS[1], ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0
local now, turn = tonumber(ARGV[6]), 1099511627776
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000000 + time[2]
end
local function pack(time, sum) return struct.pack(">I7I5", time, sum % turn) end
local function bytes(from, to) return redis.call("GETRANGE", log, from * 12, to * 12 - 1) end
local function record(i) return struct.unpack(">I7I5", bytes(i, i + 1)) end
local count = redis.call("STRLEN", log) / 12 - 1
local base, newest, total = 0, 0, 0
if count > -1 then
  local head = bytes(0, 1)
  if count < 1 or count % 1 > 0 or string.sub(head, 1, 7) ~= "sliding" then
    return redis.error_reply("CORRUPT key holds no window")
  end
  base, newest, total = struct.unpack(">I5", head, 8), record(count)
end
local function past(sum) return (sum - base) % turn end
-- The first record from one on for which it holds, as it does for all later ones; mostly one of the first.
local function first(from, holds)
  local low, high, stride = from, count + 1, 1
  while low < high do
    local at = math.min(low + stride - 1, math.floor((low + high) / 2))
    if holds(record(at)) then high = at else low, stride = at + 1, stride * 2 end
  end
  return low
end
local function write(kept, entry) redis.call("SET", log, kept .. entry, "PX", ARGV[5]) end
if newest > now then
  -- The clock went back: what lies ahead happens now, and that is written, so that it ends.
  count = first(1, function(time) return time > now end)
  newest = now
  write(bytes(0, count), pack(now, total))
end
local live = first(1, function(time) return time > now - period end)
local before = live > 1 and select(2, record(live - 1)) or base
local used = (total - before) % turn
local room = math.max(limit - used, 0)
local wanted, wait, moved = what == 2 and math.min(units, 1) or units, 0, 0
if what >= 0 and wanted > room and wanted <= limit then
  local free = past(before) + used + wanted - limit
  wait = record(first(live, function(_, sum) return past(sum) >= free end)) + period - now
end
if what == 2 or what == 1 and units <= room then
  moved = math.min(units, room)
elseif what == -1 then
  moved = 0 - math.min(units, used)
end
if moved > 0 and 2 * (live - 1) > count then
  write("sliding" .. struct.pack(">I5", before) .. bytes(live, count + 1), pack(now, total + moved))
elseif moved > 0 then
  redis.call("APPEND", log, pack(now, total + moved))
  redis.call("PEXPIRE", log, ARGV[5])
elseif moved < 0 and used + moved > 0 then
  local at = first(live, function(_, sum) return past(sum) >= past(total) + moved end)
  write(bytes(0, at), pack(record(at), total + moved))
elseif moved < 0 then
  redis.call("DEL", log)
end
return { used, used > 0 and newest + period - now or 0, wait }
