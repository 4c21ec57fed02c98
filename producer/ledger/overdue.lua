-- Which jobs may have to be published again: those whose lease ran out, and those that were sent a while ago
-- and that nobody claimed. All of them count as sent from now on.
-- A time that no clock of ours can have noted is from before the server's clock was set back: it begins anew.
-- KEYS: run, jobs, sent, leases    ARGV: seconds a message may stay unclaimed, a lease's, the longest rest's
-- Returns {jobs with expired leases, unclaimed jobs}; the latter may simply be waiting in the queue.
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
if redis.call('HGET', KEYS[1], 'state') ~= 'running' then return {{}, {}} end
for _, job in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], now + tonumber(ARGV[3]) + 1, '+inf')) do
  redis.call('ZADD', KEYS[4], now + tonumber(ARGV[2]), job)
end
for _, job in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], now + 1, '+inf')) do redis.call('ZADD', KEYS[3], now, job) end
local unclaimed = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - tonumber(ARGV[1]))
local expired = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now)
for _, job in ipairs(expired) do
  redis.call('ZREM', KEYS[4], job)
  redis.call('SETRANGE', KEYS[2], job, 'E')
  redis.call('ZADD', KEYS[3], now, job)
end
for _, job in ipairs(unclaimed) do redis.call('ZADD', KEYS[3], now, job) end
return {expired, unclaimed}
