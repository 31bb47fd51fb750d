-- Store what a load brought, unless the key was invalidated since the load began.
--
-- KEYS[1]  the value
-- KEYS[2]  the load: holds the token of the load that may store
-- ARGV[1]  the load's token
-- ARGV[2]  the value
-- ARGV[3]  time to live, milliseconds
--
-- Returns  1 if stored, 0 if the load may not store any more
if redis.call("GET", KEYS[2]) ~= ARGV[1] then
  return 0
end
redis.call("SET", KEYS[1], ARGV[2], "PX", ARGV[3])
redis.call("DEL", KEYS[2])
return 1
