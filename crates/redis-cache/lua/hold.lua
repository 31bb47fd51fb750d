-- Keep readers from a key while it is written: forget its entry, and let nobody load it.
--
-- KEYS[1]  the entry
-- KEYS[2]  the lease: holds the token of the load that may store, with a w behind it if somebody waits; a writer's token has a u in it
-- ARGV[1]  the writer's token, with a u at its end
-- ARGV[2]  how long the lease runs, milliseconds
-- ARGV[3]  channel
-- ARGV[4]  the message that the entry is gone
--
-- Returns  the time in milliseconds if the lease is this writer's, or -1 - the rest of another writer's lease in milliseconds
local lease = redis.call("GET", KEYS[2])
if lease and string.find(lease, "u", 1, true) then
  local rest = redis.call("PTTL", KEYS[2])
  if rest < 0 then
    redis.call("PEXPIRE", KEYS[2], ARGV[2])
    rest = tonumber(ARGV[2])
  end
  if string.sub(lease, -1) ~= "w" then
    redis.call("APPEND", KEYS[2], "w")
  end
  return -1 - rest
end
redis.call("SET", KEYS[2], ARGV[1], "PX", ARGV[2])
redis.call("UNLINK", KEYS[1])
redis.call("PUBLISH", ARGV[3], ARGV[4])
local now = redis.call("TIME")
return now[1] * 1000 + math.floor(now[2] / 1000)
