-- Begin a page of a filter: empty, in place of one that was begun before.
--
-- KEYS[1]  the page
-- ARGV[1]  its size, bytes
-- ARGV[2]  its head: bytes 8 to 23 say which rebuild it belongs to
-- ARGV[3]  how long it lives until something is put in, milliseconds
--
-- Returns  1
redis.call("UNLINK", KEYS[1])
redis.call("SETRANGE", KEYS[1], tonumber(ARGV[1]) - 1, "\0")
redis.call("SETRANGE", KEYS[1], 0, ARGV[2])
redis.call("PEXPIRE", KEYS[1], ARGV[3])
return 1
