-- A worker that is about to end has fetched the message of a job: let it be sent again at once, to somebody else.
-- A rest that the job is to have stays; who holds it, or has done it, is not disturbed.
-- KEYS: jobs, sent, leases    ARGV: job
-- Returns 1 where the job is nobody's.
if redis.call('GETRANGE', KEYS[1], ARGV[1], ARGV[1]) ~= 'E' then return 0 end
local t = redis.call('TIME')
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], 'NX', tonumber(t[1]) + tonumber(t[2]) / 1000000, ARGV[1])
return 1
