-- Put the pages of a rebuild in force, all of them or none.
--
-- KEYS[1..]  the pages in force, then those of the rebuild in the same order
-- ARGV[1]  the size of a page, bytes
-- ARGV[2]  the rebuild
-- ARGV[3]  how long the pages live, milliseconds
--
-- Returns  1, or 0 if a page is gone or belongs to another rebuild
local pages = #KEYS / 2
for page = pages + 1, 2 * pages do
  if redis.call("STRLEN", KEYS[page]) ~= tonumber(ARGV[1]) or redis.call("GETRANGE", KEYS[page], 8, 23) ~= ARGV[2] then
    return 0
  end
end
for page = 1, pages do
  redis.call("UNLINK", KEYS[page])
  redis.call("RENAME", KEYS[pages + page], KEYS[page])
  redis.call("PEXPIRE", KEYS[page], ARGV[3])
end
return 1
