-- Prolong the leases that a worker still holds.
-- KEYS: leases, owners    ARGV: worker, lease seconds, jobs...
local t = redis.call('TIME')
local expires = tonumber(t[1]) + tonumber(t[2]) / 1000000 + tonumber(ARGV[2])
local held = 0
for i = 3, #ARGV do
  if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[1] then
    redis.call('ZADD', KEYS[1], 'XX', expires, ARGV[i])
    held = held + 1
  end
end
return held
