-- Give one server's vote for the lock back if it is still the owner's.
--
-- KEYS[1]  the lock
-- ARGV[1]  the owner's token
--
-- Returns  1 if given back, 0 if nobody holds the lock, -1 if someone else does
local owner = redis.pcall("GET", KEYS[1])
if owner == ARGV[1] then
  return redis.call("DEL", KEYS[1])
end
return owner and -1 or 0
