-- Ban an id, whatever its ban was before.
--
-- KEYS[1]  the ban: denials in a row, how long the last ban was, and when it ended or will end, in microseconds, with ":" between
-- ARGV[1]  how long, microseconds
-- ARGV[2]  how long after its end a ban is forgotten, microseconds
-- ARGV[3]  now, microseconds; empty = the server's clock
--
-- Returns  when it ends, microseconds
local now = tonumber(ARGV[3])
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000000 + time[2]
end
local ends = now + ARGV[1]
redis.call("SET", KEYS[1], string.format("0:%d:%d", ARGV[1], ends), "PX", math.floor((ARGV[1] + ARGV[2]) / 1000) + 1)
return ends
