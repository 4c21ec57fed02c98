-- A worker could not do a job: keep why, and let it be sent again after a while.
-- KEYS: run, jobs, leases, owners, causes    ARGV: job, worker, cause, retry seconds
local run, jobs, leases, owners, causes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local job = tonumber(ARGV[1])
if redis.call('HGET', owners, job) ~= ARGV[2] then return 0 end
local t = redis.call('TIME')
redis.call('HDEL', owners, job)
redis.call('ZADD', leases, tonumber(t[1]) + tonumber(t[2]) / 1000000 + tonumber(ARGV[4]), job)
redis.call('SETRANGE', jobs, job, 'E')
redis.call('HSET', causes, job, ARGV[3])
return 1
