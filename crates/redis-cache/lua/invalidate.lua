-- Forget an entry, and with it the loads that began before, and tell everybody.
--
-- KEYS[1]  the entry
-- KEYS[2]  the lease: holds the token of the load that may store, with a w behind it if somebody waits
-- ARGV[1]  channel
-- ARGV[2]  the message that the entry is gone
-- ARGV[3]  for how long nothing that is loaded may be stored, milliseconds, 0 for not at all
--
-- Returns  1 if there was an entry, 0 if not
local gone = redis.call("UNLINK", KEYS[1])
if ARGV[3] == "0" then
  redis.call("DEL", KEYS[2])
else
  redis.call("SET", KEYS[2], "p", "PX", ARGV[3])
end
redis.call("PUBLISH", ARGV[1], ARGV[2])
return gone
