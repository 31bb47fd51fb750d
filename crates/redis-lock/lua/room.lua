-- Say how a room lets go of those whose lease is over and lets in those whose turn it is: the first half of enter.lua and leave.lua.
--
-- Returns  nothing: it defines open, admit, let_in and settle
local room, counter, line, time, now, last, fence, used, waiting

-- Afterwards `used` is the weight of all holders, or nil if the key is something else; `fence` the last number, or nil if it is damaged.
local function open(...)
  room, counter, line = ...
  time, waiting = redis.call("TIME"), redis.pcall("LLEN", line)
  now = time[1] * 1000 + math.floor(time[2] / 1000)
  -- A counter that is new or lost begins at the clock, which is ahead of every number ever handed out.
  last = redis.pcall("GET", counter) or string.format("%.0f", time[1] * 1000000 + time[2])
  fence = tonumber(type(last) == "string" and string.match(last, "^[1-9]%d*$") or nil)
  -- With a margin for a whole line, numbers stay exact.
  fence = fence and fence < 9007199000000000 and fence or nil
  local held = redis.pcall("ZSCORE", room, "")
  used = type(held) == "string" and 0 - held or redis.call("EXISTS", room) == 0 and 0 or nil
end

local function admit(holder, weight, lease)
  redis.call("ZADD", room, now + lease, holder)
  fence, used = fence + 1, used + weight
  return string.format("%.0f", fence)
end

-- First come, first served: while the first who is there does not fit, nobody passes.
local function let_in(ticket)
  for _, member in ipairs(redis.call("ZRANGEBYSCORE", room, "(0", "(" .. now)) do
    redis.call("ZREM", room, member)
    used = used - (string.match(member, ":(%d+)$") or 0)
  end
  while fence and type(waiting) == "number" and waiting > 0 do
    local first = redis.call("LINDEX", line, 0)
    local holder, token, weight, claim, limit, known, channel =
      string.match(first, "^(([^:]+):(%d+)):(%d+):(%d+):(%d):(.*)$")
    local live = holder and (first == ticket or redis.call("ZSCORE", room, token))
    local unheard = live and known == "1" and redis.pcall("PUBSUB", "NUMSUB", channel)[2] == 0
    live = live and (first == ticket or not unheard)
    local fits = live and used + weight <= tonumber(limit)
    if live and not fits and used > 0 then break end
    redis.call("LPOP", line)
    redis.call("ZREM", room, token or "?")
    waiting = waiting - 1
    if fits then redis.pcall("PUBLISH", channel, holder .. ":" .. admit(holder, weight, claim)) end
  end
end

local function settle()
  redis.call("ZADD", room, 0 - used, "")
  -- The latest deadline; of an empty room there is none, and the key goes.
  redis.call("PEXPIREAT", room, redis.call("ZRANGE", room, -1, -1, "WITHSCORES")[2])
  if fence and fence ~= tonumber(last) then redis.call("SET", counter, string.format("%.0f", fence)) end
end
