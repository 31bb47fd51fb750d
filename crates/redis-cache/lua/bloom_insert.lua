-- Set bits in a page of a filter and in the one that is to take its place, or in that alone; a page that is not there stays away.
--
-- KEYS[1]  the page in force
-- KEYS[2]  the page being built
-- ARGV[1]  the size of a page, bytes
-- ARGV[2]  the rebuild that fills its own page alone, or empty
-- ARGV[3]  how long the page that is written on purpose lives from now on, milliseconds
-- ARGV[4..]  the bits, counted from 0
--
-- Returns  1 if the page in force was written, plus 2 if the one being built was
local size, rebuild, written = tonumber(ARGV[1]), ARGV[2], 0
if rebuild == "" and redis.call("STRLEN", KEYS[1]) == size then
  for bit = 4, #ARGV do
    redis.call("SETBIT", KEYS[1], ARGV[bit], 1)
  end
  -- The head counts the changes.
  redis.call("BITFIELD", KEYS[1], "INCRBY", "i64", 192, 1)
  redis.call("PEXPIRE", KEYS[1], ARGV[3])
  written = 1
end
if redis.call("STRLEN", KEYS[2]) == size
  and (rebuild == "" or redis.call("GETRANGE", KEYS[2], 8, 23) == rebuild) then
  for bit = 4, #ARGV do
    redis.call("SETBIT", KEYS[2], ARGV[bit], 1)
  end
  if rebuild ~= "" then
    redis.call("PEXPIRE", KEYS[2], ARGV[3])
  end
  written = written + 2
end
return written
