-- One process drives a run at a time: take the place, or keep it.
-- KEYS: producer    ARGV: holder, seconds
-- Returns the holder.
local holder = redis.call('GET', KEYS[1])
if not holder or holder == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
  return ARGV[1]
end
return holder
