-- Takes the orders of one node into the common log: each once, in the sequence given, at the time of this server.
-- KEYS: meta, log
-- ARGV: epoch, node, last order the node knows, number of the first order ("0" for a tick), due, orders...
-- Each order carries the epoch and the order before it, so that nobody takes a torn log for a whole one.
-- A tick is taken only when its time has come and no other order has carried the clock past it.
-- Answer: {"ok", clock, orders after the last known}, {"epoch", clock} when the log is another, or {"behind", clock}
-- when the log has forgotten what the node knows.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local clock = string.format('%.0f', now)
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'head', 'last:' .. ARGV[2])
if meta[1] ~= ARGV[1] then
  return {'epoch', clock}
end
local head, last = tonumber(meta[2]), tonumber(meta[3] or '0')
if head < tonumber(ARGV[3]) then
  return {'behind', clock}
end
local no, due = tonumber(ARGV[4]), tonumber(ARGV[5])
local from = head
for i = 6, #ARGV do
  local take
  if no == 0 then
    take = now >= due and head < due
  else
    take = no + i - 6 > last
  end
  if take then
    local id = math.max(now, head + 1)
    redis.call('XADD', KEYS[2], string.format('%.0f-0', id), 'p', ARGV[1] .. ':' .. string.format('%.0f', head), 'o', ARGV[i])
    head = id
  end
end
if head > from then
  if no > 0 then
    last = math.max(last, no + #ARGV - 6)
    redis.call('HSET', KEYS[1], 'last:' .. ARGV[2], string.format('%.0f', last))
  end
  redis.call('HSET', KEYS[1], 'head', string.format('%.0f', head))
end
return {'ok', clock, redis.call('XRANGE', KEYS[2], '(' .. ARGV[3] .. '-0', '+', 'COUNT', 1000)}
