-- Store an entry as of now, in place of whatever is there or being loaded, and tell everybody.
--
-- KEYS[1]  the entry
-- KEYS[2]  the lease: holds the token of the load that may store, with a w behind it if somebody waits
-- ARGV[1]  the entry, whose bytes 16 to 23 are replaced by the time in milliseconds
-- ARGV[2]  time to live, milliseconds
-- ARGV[3]  channel
-- ARGV[4]  the message that the entry is another
--
-- Returns  the time in milliseconds
local now = redis.call("TIME")
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call("SET", KEYS[1], string.sub(ARGV[1], 1, 16) .. struct.pack("<I8", now) .. string.sub(ARGV[1], 25), "PX", ARGV[2])
redis.call("DEL", KEYS[2])
redis.call("PUBLISH", ARGV[3], ARGV[4])
return now
