-- A worker could not do a job: keep why, and let it be sent again after a while.
-- What is no fault of the job's counts as no attempt; a job without hope has had all of them.
-- KEYS: jobs, leases, owners, causes, attempts, refusals, trials
-- ARGV: job, worker, cause, retry seconds, how many attempts this was, 1 where the worker refuses the run
local jobs, leases, owners, causes, attempts, refusals = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local job = tonumber(ARGV[1])
if redis.call('HGET', owners, job) ~= ARGV[2] then return 0 end
local t = redis.call('TIME')
redis.call('HDEL', owners, job)
redis.call('HDEL', KEYS[7], job)
redis.call('ZADD', leases, tonumber(t[1]) + tonumber(t[2]) / 1000000 + tonumber(ARGV[4]), job)
redis.call('SETRANGE', jobs, job, 'E')
redis.call('HSET', causes, job, ARGV[3])
if ARGV[6] == '1' then redis.call('HSET', refusals, ARGV[2], ARGV[3]) end
if ARGV[5] ~= '0' then redis.call('HINCRBY', attempts, job, ARGV[5]) end
return 1
