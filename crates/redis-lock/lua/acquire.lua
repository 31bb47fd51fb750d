-- Take the lock if it is free and nobody waits for it; otherwise wait in line, if asked to.
--
-- KEYS[1]  the lock: holds the owner's token while it is held, with an asterisk behind it if somebody may wait
-- KEYS[2]  the fence: a counter that only grows; less 2^53 if somebody may wait
-- KEYS[3]  the line: the tickets of those who wait, first come, first served; may be missing where there is no ticket
-- ARGV[1]  the owner's token
-- ARGV[2]  lease, milliseconds
-- ARGV[3]  how many fencing tokens to reserve; missing for one
-- ARGV[4]  ticket, token:claim:reserve:known:channel with the claim in milliseconds; known is 1 if the server knows everybody who listens
--          to the channel, so that a waiter without a listener is gone, and the channel may be empty; missing to not wait
-- ARGV[5]  1 if the ticket has been in line before
--
-- Returns  the last fencing token reserved (> 0), or -1 - the holder's lease in milliseconds, 0 if it has none, or nil if the
--          ticket is in line no more, or if without the line there is no telling whose turn it is
local limit, waiting = 4503599627370496, 9007199254740992
if redis.call("SET", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then
  local last = ARGV[3] and redis.pcall("INCRBY", KEYS[2], ARGV[3]) or redis.pcall("INCR", KEYS[2])
  -- Most counters began at the clock.
  if type(last) == "number" and last > 1000000000000000 and last < limit then return last end
  local mine, free = tonumber(ARGV[3] or 1), type(last) == "number" and last > 0
  if free and last > mine and last < limit then return last end
  -- Somebody waits, or the counter is new, lost or damaged.
  last = type(last) == "number" and (free and last or last + waiting) or 0
  if last < 1 or last >= limit then
    -- A damaged counter must not hand out a smaller token in silence, nor leave the lock taken.
    redis.call("DEL", KEYS[1])
    return redis.error_reply("CORRUPT fencing counter is damaged")
  end
  if not free and not KEYS[3] then return redis.call("DEL", KEYS[1]) and false end
  local token, claim, count, known, channel, listeners
  repeat
    local first = KEYS[3] and redis.pcall("LPOP", KEYS[3])
    if type(first) == "string" and first ~= ARGV[4] then
      token, claim, count, known, channel = string.match(first, "^([^:]+):(%d+):(%d+):(%d):(.*)$")
    else
      token, claim, count, known, channel = ARGV[1], ARGV[2], mine, nil, nil
    end
    listeners = known == "1" and redis.pcall("PUBSUB", "NUMSUB", channel)
  until token and not (listeners and listeners[2] == 0)
  if last == mine then
    -- The clock is ahead of every token ever handed out.
    local now = redis.call("TIME")
    last = now[1] * 1000000 + now[2] + mine
  end
  last = last - mine + count
  local others = KEYS[3] and redis.call("EXISTS", KEYS[3]) or 0
  redis.call("SET", KEYS[2], string.format("%.0f", last - others * waiting))
  if channel or others > 0 then
    redis.call("SET", KEYS[1], token .. "*", "PX", claim)
  end
  if not channel then return last end
  redis.pcall("PUBLISH", channel, token .. ":" .. string.format("%.0f", last))
end
local owner = redis.pcall("GET", KEYS[1])
if owner == ARGV[1] or owner == ARGV[1] .. "*" then
  -- Granted, and the message of it is late or lost.
  redis.call("PEXPIRE", KEYS[1], ARGV[2])
  local last = redis.pcall("GET", KEYS[2])
  last = type(last) == "string" and tonumber(last) or 0
  last = last < 0 and last + waiting or last
  return last > 0 and last < limit and last or redis.error_reply("CORRUPT fencing counter is damaged")
end
if ARGV[4] then
  if not redis.call("LPOS", KEYS[3], ARGV[4]) then
    -- It was granted, and its claim is over: a letter of that may still come, so this ticket must not be granted again.
    if ARGV[5] == "1" then return false end
    if redis.call("RPUSH", KEYS[3], ARGV[4]) == 1 then
      local last = tonumber(redis.pcall("GET", KEYS[2]) or 0)
      if last and last >= 0 and last < limit then
        redis.pcall("DECRBY", KEYS[2], "9007199254740992")
      end
    end
  end
  -- A token of ours, which nobody else compares.
  if type(owner) == "string" and string.find(owner, "^%x+/[^*]*$") then
    redis.call("APPEND", KEYS[1], "*")
  end
  -- Whoever waits comes again long before.
  redis.call("PEXPIRE", KEYS[3], 30000)
end
local remaining = redis.call("PTTL", KEYS[1])
return remaining < 0 and 0 or -1 - remaining
