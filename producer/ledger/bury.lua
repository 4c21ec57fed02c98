-- A worker is known to be dead: its leases end now, rather than when they would have run out.
-- KEYS: leases, owners    ARGV: worker
-- Returns how many leases it held.
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
local owned = redis.call('HGETALL', KEYS[2])
local held = 0
for i = 1, #owned, 2 do
  if owned[i + 1] == ARGV[1] then held = held + redis.call('ZADD', KEYS[1], 'XX', 'CH', now, owned[i]) end
end
return held
