-- A worker asks for a job. Repeated messages are harmless: whoever asks second is told why not.
-- KEYS: run, jobs, sent, leases, owners, attempts, causes, losses, trials, deaths, claims
-- ARGV: job, worker, lease seconds, most attempts, a name of this claim
-- Returns {verdict, attempt, leases lost, the trials in which they were lost}.
local run, jobs, sent, leases, owners, attempts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local causes, losses, trials, deaths, claims = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local job, worker, lease, most = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000

local state = redis.call('HGET', run, 'state')
if not state then return {'unknown', 0} end
if job >= tonumber(redis.call('HGET', run, 'enqueued') or '0') then return {'unknown', 0} end
redis.call('ZREM', sent, job)
local raised = tonumber(redis.call('HGET', attempts, job) or '0')
local lost = tonumber(redis.call('HGET', losses, job) or '0')
if redis.call('HGET', owners, job) == worker and redis.call('HGET', claims, job) == ARGV[5] then
  -- The connection was lost behind the script: the worker has the job and does not know.
  redis.call('SETRANGE', jobs, job, 'L')
  redis.call('ZADD', leases, now + lease, job)
  return {'go', raised + lost + 1, lost, redis.call('HGET', deaths, job) or ''}
end
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

-- An owner that neither finished nor gave back has lost its lease, most likely with its life.
if redis.call('HDEL', owners, job) == 1 then
  lost = redis.call('HINCRBY', losses, job, 1)
  redis.call('HSETNX', causes, job, 'its worker died or lost its lease')
  local trial = redis.call('HGET', trials, job)
  if trial then
    redis.call('HDEL', trials, job)
    redis.call('HSET', deaths, job, (redis.call('HGET', deaths, job) or '') .. trial .. ' ')
    redis.call('HINCRBY', run, 'deaths', 1)
  end
end
local attempt = raised + lost + 1
if raised >= most then
  redis.call('SETRANGE', jobs, job, 'X')
  redis.call('ZREM', leases, job)
  redis.call('HINCRBY', run, 'dead', 1)
  return {'dead', attempt}
end
redis.call('SETRANGE', jobs, job, 'L')
redis.call('ZADD', leases, now + lease, job)
redis.call('HSET', owners, job, worker)
redis.call('HSET', claims, job, ARGV[5])
redis.call('HSETNX', run, 'first_claim', string.format('%.6f', now))
return {'go', attempt, lost, redis.call('HGET', deaths, job) or ''}
