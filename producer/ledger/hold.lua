-- One process drives a run at a time: take the place, or keep it.
-- KEYS: producer    ARGV: holder, seconds
-- Returns the holder.
local holder = redis.call('GET', KEYS[1])
-- More time than is ever given is left from before the server's clock was set back.
if not holder or holder == ARGV[1] or redis.call('PTTL', KEYS[1]) > 1000 * tonumber(ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
  return ARGV[1]
end
return holder
