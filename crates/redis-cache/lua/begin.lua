-- Begin a load: hand over a value that came meanwhile, else take the right to store if nobody has it.
--
-- KEYS[1]  the value
-- KEYS[2]  the load: holds the token of the load that may store
-- ARGV[1]  the load's token
-- ARGV[2]  how long the load may take, milliseconds
-- ARGV[3]  1 to hand over a value that is there, 0 to load in any case
--
-- Returns  the value, or 1 if this load may store, or 0 if another may
if ARGV[3] == "1" then
  local value = redis.call("GET", KEYS[1])
  if value then
    return value
  end
end
return redis.call("SET", KEYS[2], ARGV[1], "NX", "PX", ARGV[2]) and 1 or 0
