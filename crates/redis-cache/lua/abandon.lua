-- Give up the lease, at once or after a pause, and tell those who wait for it.
--
-- KEYS[1]  the lease: holds the token of the load that may store, with a w behind it if somebody waits
-- ARGV[1]  the load's token
-- ARGV[2]  for how long nothing that is loaded may be stored, milliseconds, 0 for not at all
-- ARGV[3]  channel
-- ARGV[4]  the message that there is no entry
--
-- Returns  1 if it was this load's, 0 if not
local lease = redis.call("GET", KEYS[1])
if lease ~= ARGV[1] and lease ~= ARGV[1] .. "w" then
  return 0
end
if ARGV[2] == "0" then
  redis.call("DEL", KEYS[1])
else
  redis.call("SET", KEYS[1], ARGV[1] .. "p", "PX", ARGV[2])
end
if lease ~= ARGV[1] then
  redis.call("PUBLISH", ARGV[3], ARGV[4])
end
return 1
