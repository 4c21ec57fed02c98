-- Which jobs must be published again: those whose lease ran out, and those sent a while ago that nobody
-- claimed although the queue no longer holds a message for each of them.
-- KEYS: run, jobs, sent, leases    ARGV: seconds a message may stay unclaimed, messages in the queue
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
if redis.call('HGET', KEYS[1], 'state') ~= 'running' then return {} end
local overdue = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now)
for _, job in ipairs(overdue) do
  redis.call('ZREM', KEYS[4], job)
  redis.call('SETRANGE', KEYS[2], job, 'E')
end
if redis.call('ZCARD', KEYS[3]) > tonumber(ARGV[2]) then
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - tonumber(ARGV[1]))) do
    overdue[#overdue + 1] = job
  end
end
for _, job in ipairs(overdue) do redis.call('ZADD', KEYS[3], now, job) end
return overdue
