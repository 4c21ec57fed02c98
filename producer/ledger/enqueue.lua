-- The producer hands a job to the queue, unless it is done or somebody is at it.
-- KEYS: run, jobs, sent, leases, payload    ARGV: job, payload bytes
-- Returns 1 where the caller shall publish the job's message.
local run, jobs, sent, leases, job = KEYS[1], KEYS[2], KEYS[3], KEYS[4], tonumber(ARGV[1])
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
local byte = redis.call('GETRANGE', jobs, job, job)
if byte == 'D' or byte == 'X' then return 0 end
local enqueued = tonumber(redis.call('HGET', run, 'enqueued') or '0')
if job >= enqueued then redis.call('HSET', run, 'enqueued', job + 1) end
redis.call('SET', KEYS[5], ARGV[2])
local expires = redis.call('ZSCORE', leases, job)
if expires and tonumber(expires) > now then
  redis.call('SETRANGE', jobs, job, 'L')
  return 0
end
redis.call('SETRANGE', jobs, job, 'E')
redis.call('ZADD', sent, now, job)
return 1
