-- Prolong the lease of the lock if it is still the owner's.
--
-- KEYS[1]  the lock
-- ARGV[1]  the owner's token
-- ARGV[2]  lease from now, milliseconds
--
-- Returns  1 if prolonged, 0 if nobody holds the lock, -1 if someone else does
local owner = redis.pcall("GET", KEYS[1])
if owner == ARGV[1] or owner == ARGV[1] .. "*" then
  return redis.call("PEXPIRE", KEYS[1], ARGV[2])
end
return owner and -1 or 0
