-- Admit a request if its id is not banned and the bucket has room for its cost, by GCRA in whole ticks; ban it for so many denials.
--
-- KEYS[1]  the bucket: when it will be empty, in microseconds, then ":" and the ticks beyond that if there are any
-- KEYS[2]  the ban: denials in a row, how long the last ban was, and when it ended or will end, in microseconds, with ":" between
-- ARGV[1]  capacity of the bucket, ticks
-- ARGV[2]  cost of the request, ticks; 0 looks and takes nothing
-- ARGV[3]  the least that may be taken instead and what that is a multiple of, ticks; the cost for all or nothing
-- ARGV[4]  ticks per microsecond
-- ARGV[5]  how long a full bucket takes to empty, milliseconds
-- ARGV[6]  now, microseconds; empty = the server's clock
-- ARGV[7]  how many denials in a row ban; 0 = none
-- ARGV[8]  how long the first ban is, microseconds
-- ARGV[9]  by how much each is longer than the one before
-- ARGV[10]  how long a ban is at most, microseconds
-- ARGV[11]  how long after its end a ban is forgotten, microseconds
--
-- Returns  the room in the bucket before the request, ticks, of which it got its cost or as much as there is; for an id that is banned
--          that room and for how long, microseconds, and nothing is taken
local capacity, cost, least, rate, now = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0, tonumber(ARGV[6])
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000000 + time[2]
end
local room, clamped, denials, last, ends = capacity, false, 0, 0, 0
local stored, ban = redis.call("GET", KEYS[1]), redis.call("GET", KEYS[2])
if stored then
  local at, rest = string.match(stored, "^(%d+):?(%d*)$")
  if not at then
    return redis.error_reply("CORRUPT key holds no bucket")
  end
  local level = math.max((at - now) * rate + (tonumber(rest) or 0), 0)
  clamped = level > capacity
  room = capacity - math.min(level, capacity)
end
local function remember()
  local ttl = math.floor((math.max(ends - now, 0) + ARGV[11]) / 1000) + 1
  redis.call("SET", KEYS[2], string.format("%d:%d:%d", denials, last, ends), "PX", ttl)
end
if ban then
  denials, last, ends = string.match(ban, "^(%d+):(%d+):(%d+)$")
  if not ends then
    return redis.error_reply("CORRUPT key holds no ban")
  end
  denials, last, ends = denials + 0, last + 0, ends + 0
  if ends - now > last then
    -- The clock went back: it ends as long from now as it would have from its beginning.
    ends = now + last
    remember()
  end
  if ends > now then
    return { room, ends - now }
  end
  last = now < ends + ARGV[11] and last or 0
end
local taken = cost > 0 and room >= least and math.min(room - room % least, cost) or 0
if taken > 0 or clamped and cost > 0 then
  local level = capacity - room + taken
  local value, rest = string.format("%d", now + math.floor(level / rate)), level % rate
  redis.call("SET", KEYS[1], rest > 0 and value .. string.format(":%d", rest) or value, "PX", ARGV[5])
end
if taken > 0 and denials > 0 then
  denials = 0
  remember()
elseif taken == 0 and cost > 0 and ARGV[7] + 0 > 0 then
  denials = denials + 1
  if denials < ARGV[7] + 0 then
    remember()
  else
    denials, last = 0, last > 0 and math.min(last * ARGV[9], ARGV[10] + 0) or ARGV[8] + 0
    ends = now + last
    remember()
    return { room, last }
  end
end
return room
