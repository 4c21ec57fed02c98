-- A part was found on disk: the job is done, whatever the ledger thought.
-- KEYS: run, jobs, sent, leases, payload, then the hashes that know the job while it lasts
-- ARGV: job, then counter name and amount, repeated
local run, jobs, job = KEYS[1], KEYS[2], tonumber(ARGV[1])
local byte = redis.call('GETRANGE', jobs, job, job)
if byte == 'D' then return 0 end
redis.call('ZREM', KEYS[3], job)
redis.call('ZREM', KEYS[4], job)
redis.call('DEL', KEYS[5])
for i = 6, #KEYS do redis.call('HDEL', KEYS[i], job) end
if byte == 'X' then redis.call('HINCRBY', run, 'dead', -1) end
redis.call('SETRANGE', jobs, job, 'D')
redis.call('HINCRBY', run, 'done', 1)
if job >= tonumber(redis.call('HGET', run, 'enqueued') or '0') then redis.call('HSET', run, 'enqueued', job + 1) end
for i = 2, #ARGV, 2 do redis.call('HINCRBY', run, ARGV[i], ARGV[i + 1]) end
return 1
