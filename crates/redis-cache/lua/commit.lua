-- Store what a load brought, unless the key was invalidated since the load began, and tell those who wait for it.
--
-- KEYS[1]  the entry
-- KEYS[2]  the lease: holds the token of the load that may store, with a w behind it if somebody waits
-- ARGV[1]  the load's token
-- ARGV[2]  the entry
-- ARGV[3]  time to live, milliseconds
-- ARGV[4]  channel
-- ARGV[5]  the message that there is an entry
-- ARGV[6]  how large an entry may be to travel with the message, bytes
--
-- Returns  1 if stored, 0 if the load may not store any more
local lease = redis.call("GET", KEYS[2])
if lease ~= ARGV[1] and lease ~= ARGV[1] .. "w" then
  return 0
end
redis.call("SET", KEYS[1], ARGV[2], "PX", ARGV[3])
redis.call("DEL", KEYS[2])
if lease ~= ARGV[1] then
  redis.call("PUBLISH", ARGV[4], #ARGV[2] <= tonumber(ARGV[6]) and ARGV[5] .. ARGV[2] or ARGV[5])
end
return 1
