"""What Redis does in one step, as Lua: nobody sees half of it, so the order of numbers is the order of appearing.

Rows lie in a stream under ``<seq>-0``; ``numbers`` gives the ``seq`` of an id, ``payloads`` its packed tape.
"""

_FORGET = """
local function forget(rows, numbers, payloads, count)
  while count > 0 do
    local oldest = redis.call('XRANGE', rows, '-', '+', 'COUNT', math.min(count, 500))
    if #oldest == 0 then return end
    local ids = {}
    for n, entry in ipairs(oldest) do ids[n] = entry[2][2] end
    redis.call('XTRIM', rows, 'MAXLEN', redis.call('XLEN', rows) - #oldest)
    redis.call('HDEL', numbers, unpack(ids))
    redis.call('HDEL', payloads, unpack(ids))
    count = count - #oldest
  end
end
"""

APPEND = (
    _FORGET
    + """
-- KEYS: seq, rows, numbers, payloads. ARGV: limit, the number up to which the sender had seen all before it was cut off,
-- the greatest number it knows or gave itself meanwhile, then (id, row, payload) of each record.
local seq = tonumber(redis.call('GET', KEYS[1]) or '0')
local limit, seen, known = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local between = {}
if known > seen then between = redis.call('XRANGE', KEYS[2], seen + 1, known) end
if seq < known then seq = known end
-- Others used these numbers while the sender, cut off, used them too: its readers would never meet those rows.
for _, entry in ipairs(between) do
  seq = seq + 1
  redis.call('XADD', KEYS[2], seq .. '-0', unpack(entry[2]))
  redis.call('XDEL', KEYS[2], entry[1])
  redis.call('HSET', KEYS[3], entry[2][2], seq)
end
local given = {}
for n = 4, #ARGV, 3 do
  local kept = redis.call('HGET', KEYS[3], ARGV[n])
  if kept then
    given[#given + 1] = tonumber(kept)
  else
    seq = seq + 1
    redis.call('XADD', KEYS[2], seq .. '-0', 'id', ARGV[n], 'row', ARGV[n + 1])
    redis.call('HSET', KEYS[3], ARGV[n], seq)
    redis.call('HSET', KEYS[4], ARGV[n], ARGV[n + 2])
    given[#given + 1] = seq
  end
end
redis.call('SET', KEYS[1], seq)
local count = redis.call('XLEN', KEYS[2])
if count > limit + math.floor(limit / 20) then forget(KEYS[2], KEYS[3], KEYS[4], count - limit) end
return given
"""
)

PRUNE = (
    _FORGET
    + """
-- KEYS: rows, numbers, payloads. ARGV: how many stay.
local count = redis.call('XLEN', KEYS[1]) - tonumber(ARGV[1])
forget(KEYS[1], KEYS[2], KEYS[3], count)
return math.max(count, 0)
"""
)

PUT = """
-- KEYS: bodies, times. ARGV: name, body, how many stay.
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
while redis.call('ZCARD', KEYS[2]) > tonumber(ARGV[3]) do
  redis.call('HDEL', KEYS[1], redis.call('ZPOPMIN', KEYS[2])[1])
end
return 1
"""

WATCH = """
-- KEYS: watched. ARGV: milliseconds.
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) end
return 1
"""

SWAP = """
-- KEYS: control. ARGV: the state it should hold ('' for none), the state to put there.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""
