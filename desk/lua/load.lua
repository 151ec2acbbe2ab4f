-- Reads the whole board at one moment.
-- KEYS: meta, log, snapshot
-- Answer: {clock} when there is none, otherwise {clock, epoch, rules, id of the snapshot, snapshot, orders after it}
local time = redis.call('TIME')
local clock = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'rules', 'snapshot')
local data = redis.call('GET', KEYS[3])
if not meta[1] or not data then
  return {clock}
end
return {clock, meta[1], meta[2], meta[3], data, redis.call('XRANGE', KEYS[2], '(' .. meta[3] .. '-0', '+')}
