-- Tell the generation of a tag, and give it one if it has none.
--
-- KEYS[1]  the tag: holds its generation
-- ARGV[1]  the generation it gets if it has none
-- ARGV[2]  how long it lives at least, milliseconds
--
-- Returns  the generation
local generation = redis.call("GET", KEYS[1])
if not generation or #generation ~= 8 then
  redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
  return ARGV[1]
end
if redis.call("PTTL", KEYS[1]) < tonumber(ARGV[2]) then
  redis.call("PEXPIRE", KEYS[1], ARGV[2])
end
return generation
