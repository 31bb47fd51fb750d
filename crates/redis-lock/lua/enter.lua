-- Enter the room if there is space and nobody waits, after room.lua; otherwise wait in line, if asked to.
--
-- KEYS[1]  the room: each holder, token:weight, by the server's time in milliseconds at which its lease ends; each token that waits, by
--          the time at which it is given up; and minus the weight of all holders under the empty name
-- KEYS[2]  the fence: a counter that only grows
-- KEYS[3]  the line: the tickets of those who wait, first come, first served
-- ARGV[1]  the holder to be, token:weight
-- ARGV[2]  lease, milliseconds
-- ARGV[3]  limit: how much all holders may weigh with this one
-- ARGV[4]  ticket, token:weight:claim:limit:known:channel with the claim in milliseconds; known is 1 if the server knows everybody who
--          listens to the channel, so that a waiter without a listener is gone, and the channel may be empty; missing to not wait
-- ARGV[5]  1 if the ticket has been in line before
--
-- Returns  the fencing token (> 0), or -1 - the milliseconds until the first lease ends, 0 if the key is something else, or nil if the ticket is in line no more
open(KEYS[1], KEYS[2], KEYS[3])
if not used then return 0 end
if type(waiting) == "table" then return waiting end
if not fence then return redis.error_reply("CORRUPT fencing counter is damaged") end
let_in(ARGV[4])
local token, weight = string.match(ARGV[1], "^(.+):(%d+)$")
-- Inside already when the message of it is late or lost.
local inside = redis.call("ZSCORE", KEYS[1], ARGV[1])
local answer, place
if inside or waiting == 0 and used + weight <= tonumber(ARGV[3]) then
  answer = tonumber(admit(ARGV[1], inside and 0 or weight, ARGV[2]))
elseif ARGV[4] then
  place = redis.call("LPOS", KEYS[3], ARGV[4]) or ARGV[5] ~= "1" and redis.call("RPUSH", KEYS[3], ARGV[4])
  if place then
    -- Whoever waits comes again long before.
    redis.call("PEXPIRE", KEYS[3], 10000)
    redis.call("ZADD", KEYS[1], now + 10000, token)
  end
end
settle()
if answer then return answer end
-- It was let in, and its claim is over: a letter of that may still come, so this ticket must not be let in again.
if ARGV[4] and not place then return false end
local next = redis.call("ZRANGEBYSCORE", KEYS[1], "(0", "+inf", "WITHSCORES", "LIMIT", 0, 1)[2]
return next and now - 1 - next or 0
