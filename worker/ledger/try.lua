-- Say which rows of a job are tried next, so that it is known should the worker not survive it.
-- KEYS: owners, trials    ARGV: job, worker, trial
-- Returns 0 where somebody else has the job by now.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
return 1
