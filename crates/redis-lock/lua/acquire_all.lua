-- Take several locks if all of them are free and nobody waits for any of them.
--
-- KEYS[1..]  lock, fence and line of each, one after the other
-- ARGV[1]    lease, milliseconds
-- ARGV[2..]  the owner's token for each
--
-- Returns  the fencing tokens in order, or nil if somebody else holds one of the locks or waits for it
local limit, waiting = 4503599627370496, 9007199254740992
for at = 1, #KEYS, 3 do
  if redis.call("EXISTS", KEYS[at], KEYS[at + 2]) > 0 then
    return false
  end
end
local fences = {}
for at = 2, #KEYS, 3 do
  local last = redis.pcall("INCR", KEYS[at])
  last = type(last) == "number" and (last > 0 and last or last + waiting) or 0
  if last < 1 or last >= limit then
    return redis.error_reply("CORRUPT fencing counter is damaged")
  end
  if last == 1 then
    -- New, or lost: the clock is ahead of every token ever handed out.
    local now = redis.call("TIME")
    last = now[1] * 1000000 + now[2] + 1
  end
  -- Nobody waits, whatever the counter says.
  redis.call("SET", KEYS[at], string.format("%.0f", last))
  fences[#fences + 1] = last
end
for at = 1, #KEYS, 3 do
  redis.call("SET", KEYS[at], ARGV[(at + 2) / 3 + 1], "PX", ARGV[1])
end
return fences
