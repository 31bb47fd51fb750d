-- Take the lock if it is free and nobody waits for it; otherwise wait in line, if asked to.
--
-- KEYS[1]  the lock: holds the owner's token while it is held
-- KEYS[2]  the fence: a counter that only grows
-- KEYS[3]  the line: the tickets of those who wait, first come, first served
-- ARGV[1]  the owner's token
-- ARGV[2]  lease, milliseconds
-- ARGV[3]  how many fencing tokens to reserve
-- ARGV[4]  ticket, token:claim:reserve:channel with the claim in milliseconds and perhaps no channel; empty to not wait
-- ARGV[5]  1 if the server knows everybody who listens to a channel, so that a waiter without a listener is gone
-- ARGV[6]  1 if the ticket has been in line before, 0 if it is new
--
-- Returns  the last fencing token reserved (> 0), or -1 - the holder's lease in milliseconds, 0 if it has none, or nil if the ticket is in line no more
if redis.call("SET", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then
  local token, claim, count, channel, listeners
  repeat
    local first = redis.pcall("LPOP", KEYS[3])
    if type(first) == "string" and first ~= ARGV[4] then
      token, claim, count, channel = string.match(first, "^([^:]+):(%d+):(%d+):(.*)$")
    else
      token, claim, count, channel = ARGV[1], ARGV[2], ARGV[3], nil
    end
    listeners = channel and channel ~= "" and ARGV[5] == "1" and redis.pcall("PUBSUB", "NUMSUB", channel)
  until token and not (listeners and listeners[2] == 0)
  local last = redis.pcall("INCRBY", KEYS[2], count)
  if type(last) ~= "number" or last < 1 or last >= 9007199254740992 then
    -- A damaged counter must not hand out a smaller token in silence, nor leave the lock taken.
    redis.call("DEL", KEYS[1])
    return redis.error_reply("CORRUPT fencing counter is damaged")
  end
  if last == tonumber(count) then
    -- New, or lost: the clock is ahead of every token ever handed out.
    local now = redis.call("TIME")
    last = now[1] * 1000000 + now[2] + count
    redis.call("SET", KEYS[2], string.format("%.0f", last))
  end
  if not channel then return last end
  redis.call("SET", KEYS[1], token, "PX", claim)
  redis.pcall("PUBLISH", channel, token .. ":" .. string.format("%.0f", last))
end
if redis.pcall("GET", KEYS[1]) == ARGV[1] then
  -- Granted, and the message of it is late or lost.
  redis.call("PEXPIRE", KEYS[1], ARGV[2])
  local last = redis.pcall("GET", KEYS[2])
  last = type(last) == "string" and tonumber(last) or 0
  return last > 0 and last < 9007199254740992 and last or redis.error_reply("CORRUPT fencing counter is damaged")
end
if ARGV[4] ~= "" then
  if not redis.call("LPOS", KEYS[3], ARGV[4]) then
    -- It was granted, and its claim is over: a letter of that may still come, so this ticket must not be granted again.
    if ARGV[6] == "1" then return false end
    redis.call("RPUSH", KEYS[3], ARGV[4])
  end
  -- Whoever waits comes again long before.
  redis.call("PEXPIRE", KEYS[3], 30000)
end
local remaining = redis.call("PTTL", KEYS[1])
return remaining < 0 and 0 or -1 - remaining
