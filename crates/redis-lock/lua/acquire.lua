-- Take the lock if nobody holds it, and hand out the next fencing token.
--
-- KEYS[1]  the lock: holds the owner's token while it is held
-- KEYS[2]  the fence: a counter that only grows
-- ARGV[1]  the owner's token
-- ARGV[2]  lease, milliseconds
--
-- Returns  the fencing token (> 0), or -1 - the holder's remaining lease in milliseconds, or 0 if the holder has no lease
if not redis.call("SET", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then
  local remaining = redis.call("PTTL", KEYS[1])
  return remaining < 0 and 0 or -1 - remaining
end
local fence = redis.pcall("INCR", KEYS[2])
if type(fence) == "number" and fence > 0 and fence < 9007199254740992 then
  return fence
end
-- A damaged counter must not hand out a smaller token in silence, nor leave the lock taken.
redis.call("DEL", KEYS[1])
return redis.error_reply("CORRUPT fencing counter is damaged")
