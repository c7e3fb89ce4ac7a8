"""The Lua scripts of the backlog of Celery's queues. Layout: see `CeleryBacklog`.

Keys of each: the hash of the messages on their way, the token of the one who moves them, then the lists of the queue,
the most urgent first. The first argument is the token of the caller. All but BEGIN and END return nil to one whose
place another has taken. A receipt is the field of a message in the hash; it ends with `:` and the number of its list.
"""

from __future__ import annotations

from capa_core.components.redis._client import Script

_AS_MOVER = """
local moving, mover = KEYS[1], KEYS[2]
if redis.call('GET', mover) ~= ARGV[1] then return nil end
"""

BEGIN = Script.of(
    """
-- Returns receipts and messages, in turn, that one before has left on their way.
redis.call('SET', KEYS[2], ARGV[1])
return redis.call('HGETALL', KEYS[1])
"""
)

TAKE = Script.of(
    _AS_MOVER
    + """
-- Arguments: the name of this take, how many at most. Returns receipts and messages in turn.
local taken, most = {}, 2 * tonumber(ARGV[3])
for number = 3, #KEYS do
    while #taken < most do
        local raw = redis.call('RPOP', KEYS[number])
        if not raw then break end
        local receipt = ARGV[2] .. '.' .. #taken .. ':' .. number - 2
        redis.call('HSET', moving, receipt, raw)
        taken[#taken + 1], taken[#taken + 2] = receipt, raw
    end
end
return taken
"""
)

DONE = Script.of(
    _AS_MOVER
    + """
-- Arguments: receipts of messages that are stored elsewhere.
for number = 2, #ARGV do redis.call('HDEL', moving, ARGV[number]) end
return 1
"""
)

GIVE_BACK = Script.of(
    _AS_MOVER
    + """
-- Arguments: receipts of messages to put back; the last one comes first in its list.
for number = 2, #ARGV do
    local raw = redis.call('HGET', moving, ARGV[number])
    if raw then
        local list = KEYS[2 + tonumber(string.match(ARGV[number], ':(%d+)$'))]
        redis.call('RPUSH', list, raw)
        redis.call('HDEL', moving, ARGV[number])
    end
end
return 1
"""
)

END = Script.of(
    """
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 1
"""
)
