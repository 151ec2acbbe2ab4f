-- Begins a board from what one node knows: when there is none, or when this server has forgotten a part of it (an older
-- copy after a restart or a fail-over) that the node still has.
-- KEYS: meta, log, snapshot
-- ARGV: epoch the node knows or "", last order it knows, new epoch, rules, snapshot, then node and last order of each
-- Answer: 1 when begun, 0 when there is a board that the node must read instead.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'head')
local there = meta[1] and redis.call('EXISTS', KEYS[3]) == 1
if there and not (meta[1] == ARGV[1] and tonumber(meta[2]) < tonumber(ARGV[2])) then
  return 0
end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('HSET', KEYS[1], 'epoch', ARGV[3], 'rules', ARGV[4], 'head', ARGV[2], 'snapshot', ARGV[2])
redis.call('SET', KEYS[3], ARGV[5])
for i = 6, #ARGV, 2 do
  redis.call('HSET', KEYS[1], 'last:' .. ARGV[i], ARGV[i + 1])
end
return 1
