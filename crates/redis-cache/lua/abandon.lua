-- Give up the right to store, so that the next load has it.
--
-- KEYS[1]  the load: holds the token of the load that may store
-- ARGV[1]  the load's token
--
-- Returns  1 if it was this load's, 0 if not
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call("DEL", KEYS[1])
