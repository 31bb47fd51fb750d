-- Prolong the lease of a load that goes on.
--
-- KEYS[1]  the lease: holds the token of the load that may store, with a w behind it if somebody waits
-- ARGV[1]  the load's token
-- ARGV[2]  how long the lease runs from now, milliseconds
--
-- Returns  1 if prolonged, 0 if it is not this load's any more
local lease = redis.call("GET", KEYS[1])
if lease ~= ARGV[1] and lease ~= ARGV[1] .. "w" then
  return 0
end
return redis.call("PEXPIRE", KEYS[1], ARGV[2])
