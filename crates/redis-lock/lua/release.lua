-- Give the lock back if it is still the owner's: to the first in line who is there, if anybody is.
--
-- KEYS[1]  the lock
-- KEYS[2]  the fence
-- KEYS[3]  the line
-- ARGV[1]  the owner's token; empty to take the lock from whoever holds it
-- ARGV[2]  ticket to take out of the line when the lock is not the owner's; missing for none
--
-- Returns  1 if released, 0 if nobody holds the lock, -1 if someone else does
local owner = redis.pcall("GET", KEYS[1])
if owner == ARGV[1] and owner ~= "" then
  return redis.call("DEL", KEYS[1])
end
if owner ~= ARGV[1] .. "*" and not (owner and ARGV[1] == "") then
  if ARGV[2] then
    redis.pcall("LREM", KEYS[3], 0, ARGV[2])
  end
  return owner and -1 or 0
end
local limit, waiting = 4503599627370496, 9007199254740992
local token, claim, count, known, channel, listeners
repeat
  local first = redis.pcall("LPOP", KEYS[3])
  if type(first) ~= "string" then
    redis.call("DEL", KEYS[1])
    if (tonumber(redis.pcall("GET", KEYS[2]) or 0) or 0) < -limit then
      redis.call("INCRBY", KEYS[2], "9007199254740992")
    end
    return 1
  end
  token, claim, count, known, channel = string.match(first, "^([^:]+):(%d+):(%d+):(%d):(.*)$")
  listeners = known == "1" and redis.pcall("PUBSUB", "NUMSUB", channel)
until channel and not (listeners and listeners[2] == 0)
local last = redis.pcall("INCRBY", KEYS[2], count)
last = type(last) == "number" and (last > 0 and last or last + waiting) or 0
if last < 1 or last >= limit then
  -- Whoever comes next is told that the counter is damaged.
  redis.call("DEL", KEYS[1])
  return 1
end
if last == tonumber(count) then
  -- Lost: the clock is ahead of every token ever handed out.
  local now = redis.call("TIME")
  last = now[1] * 1000000 + now[2] + count
  redis.call("SET", KEYS[2], string.format("%.0f", last - waiting))
end
redis.call("SET", KEYS[1], token .. "*", "PX", claim)
redis.pcall("PUBLISH", channel, token .. ":" .. string.format("%.0f", last))
return 1
