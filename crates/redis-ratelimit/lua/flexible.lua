-- Count a request as rate-limiter-flexible does: denied ones too, in a window that the first one opens.
--
-- KEYS[1]  points consumed in the window
-- ARGV[1]  points of the request; 0 looks and takes nothing
-- ARGV[2]  points of a window
-- ARGV[3]  length of a window, seconds
-- ARGV[4]  how long whoever first goes over is blocked, seconds; 0 = to the end of the window
--
-- Returns  points consumed, 0 to 2^53, and how long they count, milliseconds
local points = tonumber(ARGV[1])
if points == 0 and redis.call("EXISTS", KEYS[1]) == 0 then
  return { 0, 0 }
end
redis.call("SET", KEYS[1], 0, "EX", ARGV[3], "NX")
local consumed = redis.call("INCRBY", KEYS[1], ARGV[1])
local left = redis.call("PTTL", KEYS[1])
if left == -1 then
  redis.call("EXPIRE", KEYS[1], ARGV[3])
  left = ARGV[3] * 1000
end
local limit, block = tonumber(ARGV[2]), tonumber(ARGV[4])
if block > 0 and consumed > limit and consumed - points <= limit then
  redis.call("EXPIRE", KEYS[1], block)
  left = block * 1000
end
return { math.min(math.max(consumed, 0), 9007199254740992), left }
