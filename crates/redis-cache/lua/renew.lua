-- Give a tag another generation, so that all entries with the one before are forgotten, and tell everybody.
--
-- KEYS[1]  the tag: holds its generation
-- ARGV[1]  the generation
-- ARGV[2]  how long it lives at least, milliseconds
-- ARGV[3]  channel
-- ARGV[4]  the message that the tag has another generation
--
-- Returns  1
local ttl = math.max(redis.call("PTTL", KEYS[1]), tonumber(ARGV[2]))
redis.call("SET", KEYS[1], ARGV[1], "PX", string.format("%d", ttl))
redis.call("PUBLISH", ARGV[3], ARGV[4])
return 1
