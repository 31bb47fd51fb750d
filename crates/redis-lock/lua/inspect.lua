-- Look at the lock without touching it.
--
-- KEYS[1]  the lock
-- KEYS[2]  the fence
-- KEYS[3]  the line
--
-- Returns  the owner's token (nil if it is free, empty if it is no string), its lease in milliseconds as PTTL says it, how many wait, the fence or nil
local owner = redis.pcall("GET", KEYS[1])
local waiting = redis.pcall("LLEN", KEYS[3])
local fence = redis.pcall("GET", KEYS[2])
return {
  type(owner) == "table" and "" or owner,
  redis.call("PTTL", KEYS[1]),
  type(waiting) == "number" and waiting or 0,
  type(fence) == "string" and fence,
}
