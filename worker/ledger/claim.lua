-- A worker asks for a job. Repeated messages are harmless: whoever asks second is told why not.
-- KEYS: run, jobs, sent, leases, owners, attempts    ARGV: job, worker, lease seconds, most attempts
-- Returns {verdict, attempt}.
local run, jobs, sent, leases, owners, attempts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local job, worker, lease, most = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000

local state = redis.call('HGET', run, 'state')
if not state then return {'unknown', 0} end
redis.call('ZREM', sent, job)
if state == 'paused' then
  -- The message ends here; an expired lease is what makes the reconciler send the job again.
  redis.call('ZADD', leases, 'NX', now, job)
  return {'held', 0}
end
if state ~= 'running' then return {'held', 0} end

local byte = redis.call('GETRANGE', jobs, job, job)
if byte == 'D' then return {'done', 0} end
if byte == 'X' then return {'dead', 0} end
if byte ~= 'E' and byte ~= 'L' then return {'unknown', 0} end

local expires = redis.call('ZSCORE', leases, job)
if expires and tonumber(expires) > now then return {'busy', 0} end

local attempt = redis.call('HINCRBY', attempts, job, 1)
if attempt > most then
  redis.call('SETRANGE', jobs, job, 'X')
  redis.call('ZREM', leases, job)
  redis.call('HDEL', owners, job)
  redis.call('HINCRBY', run, 'dead', 1)
  return {'dead', attempt}
end
redis.call('SETRANGE', jobs, job, 'L')
redis.call('ZADD', leases, now + lease, job)
redis.call('HSET', owners, job, worker)
redis.call('HSETNX', run, 'first_claim', string.format('%.6f', now))
return {'go', attempt}
