-- Store an entry as of now, in place of whatever is there or being loaded, unless that is of a later version; and tell everybody.
--
-- KEYS[1]  the entry
-- KEYS[2]  the lease: holds the token of the load that may store, with a w behind it if somebody waits
-- ARGV[1]  the entry, whose bytes 16 to 23 are replaced by the time in milliseconds
-- ARGV[2]  time to live, milliseconds
-- ARGV[3]  channel
-- ARGV[4]  the message that the entry is another
--
-- Returns  the time in milliseconds, or 0 if what is there is of a later version
local function version(entry)
  -- It stands right behind the header: kind 2, 8 bytes.
  if #entry >= 42 and string.sub(entry, 1, 2) == "\193\1" and string.sub(entry, 33, 34) == "\2\8" and struct.unpack("<I2", entry, 7) >= 10 then
    return { struct.unpack(">I4I4", entry, 35) }
  end
end
local new = version(ARGV[1])
if new then
  local old = version(redis.call("GETRANGE", KEYS[1], 0, 41))
  if old and (old[1] > new[1] or old[1] == new[1] and old[2] > new[2]) then
    return 0
  end
end
local now = redis.call("TIME")
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call("SET", KEYS[1], string.sub(ARGV[1], 1, 16) .. struct.pack("<I8", now) .. string.sub(ARGV[1], 25), "PX", ARGV[2])
redis.call("DEL", KEYS[2])
redis.call("PUBLISH", ARGV[3], ARGV[4])
return now
