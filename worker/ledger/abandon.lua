-- A worker is about to end because of what it was doing: as if it had died at once, but with a word of why.
-- The owner stays, so that the next claim finds a lost lease.
-- KEYS: leases, owners, causes    ARGV: job, worker, cause
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
local t = redis.call('TIME')
redis.call('ZADD', KEYS[1], tonumber(t[1]) + tonumber(t[2]) / 1000000, ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
return 1
