-- Begin a load: hand over an entry that came meanwhile, else take the lease if nobody has it.
--
-- KEYS[1]  the entry
-- KEYS[2]  the lease: holds the token of the load that may store, with a w behind it if somebody waits, or of none, with a p
-- ARGV[1]  the load's token
-- ARGV[2]  how long the lease runs, milliseconds
-- ARGV[3]  the first 32 bytes of the entry that is to be replaced; empty if there was none
-- ARGV[4]  1 if the load waits for the one that has the lease, 0 if not
--
-- Returns  an entry other than the one to be replaced, or the time in milliseconds if the lease is this load's,
--          or the rest of another's lease in milliseconds and its token, or 0 if what is loaded now may not be stored
if redis.call("GETRANGE", KEYS[1], 0, 31) ~= ARGV[3] then
  local entry = redis.call("GET", KEYS[1])
  if entry then
    return entry
  end
end
if redis.call("SET", KEYS[2], ARGV[1], "NX", "PX", ARGV[2]) then
  local now = redis.call("TIME")
  return now[1] * 1000 + math.floor(now[2] / 1000)
end
local lease, rest = redis.call("GETRANGE", KEYS[2], 0, 32), redis.call("PTTL", KEYS[2])
if rest < 0 then
  -- Not ours: nobody may wait for ever.
  redis.call("PEXPIRE", KEYS[2], ARGV[2])
  rest = tonumber(ARGV[2])
end
local last = string.sub(lease, -1)
if last == "p" then
  return 0
end
if ARGV[4] == "1" and last ~= "w" then
  redis.call("APPEND", KEYS[2], "w")
end
return { rest, string.sub(lease, 1, 32) }
