-- A part is durable. Anyone may say so, any number of times: parts of one job are the same.
-- KEYS: run, jobs, sent, leases, payload, then the hashes that know the job while it lasts
-- ARGV: job, then counter name and amount, repeated
-- Returns 'ok', 'again' or 'unknown' (the ledger was lost; the part will be found by its name).
local run, jobs, job = KEYS[1], KEYS[2], tonumber(ARGV[1])
if redis.call('EXISTS', run) == 0 then return 'unknown' end
redis.call('ZREM', KEYS[3], job)
redis.call('ZREM', KEYS[4], job)
redis.call('DEL', KEYS[5])
for i = 6, #KEYS do redis.call('HDEL', KEYS[i], job) end
local byte = redis.call('GETRANGE', jobs, job, job)
if byte == 'D' then return 'again' end
if byte == 'X' then redis.call('HINCRBY', run, 'dead', -1) end
redis.call('SETRANGE', jobs, job, 'D')
redis.call('HINCRBY', run, 'done', 1)
for i = 2, #ARGV, 2 do redis.call('HINCRBY', run, ARGV[i], ARGV[i + 1]) end
return 'ok'
