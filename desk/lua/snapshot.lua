-- Keeps the state at one order and forgets the orders before it, but for some that slow nodes may still be reading, and
-- the counts of nodes that are no more.
-- KEYS: meta, log, snapshot
-- ARGV: epoch, order, oldest order to keep, snapshot, then each dead node and its last order
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'snapshot')
if meta[1] ~= ARGV[1] or tonumber(meta[2]) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('SET', KEYS[3], ARGV[4])
redis.call('HSET', KEYS[1], 'snapshot', ARGV[2])
redis.call('XTRIM', KEYS[2], 'MINID', ARGV[3] .. '-0')
for i = 5, #ARGV, 2 do
  local field = 'last:' .. ARGV[i]
  if redis.call('HGET', KEYS[1], field) == ARGV[i + 1] then -- it has not come back since
    redis.call('HDEL', KEYS[1], field)
  end
end
return 1
