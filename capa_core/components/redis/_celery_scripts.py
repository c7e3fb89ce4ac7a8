"""The Lua scripts of Celery's queues. Layout: see `CeleryQueues`.

Keys of each: the hash of held messages, the sorted set of their times, and that of the leases of Capa's consumers, in
this order. A receipt is the field of a message in all three: the token of one take, the number in it, and the delivery
tag. The tag alone would not do: a message comes again with the same tag, and the copies that an exchange puts into
several queues share it. Whoever settles one delivery must not settle another.
"""

from __future__ import annotations

from capa_core.components.redis._client import Script

_COMMON = r"""
local unacked, index, leases = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now_s = time[1] .. '.' .. string.format('%06d', time[2])
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function at(value, ...)
    for _, name in ipairs({...}) do
        if type(value) ~= 'table' then return nil end
        value = value[name]
    end
    return value
end
"""

TAKE = Script.of(
    _COMMON
    + r"""
-- Further keys: the lists of the queue, the most urgent first.
-- Arguments: how many at most, the lease in ms, the token, the name of the queue as JSON.
-- Returns of each the receipt, the tag, the number of the list, whether it came before, the ETA or '', and the message.
-- What is no message of Celery's is held as a JSON text of its bytes, since Celery's workers read all that is held.
local function as_text(raw)
    return (string.gsub(cjson.encode(raw), '[\128-\255]', function(byte)
        return string.format('\\u00%02x', string.byte(byte))
    end))
end

local most, taken = tonumber(ARGV[1]), {}
for number = 4, #KEYS do
    while #taken < most do
        local raw = redis.call('RPOP', KEYS[number])
        if not raw then break end
        local read, message = pcall(cjson.decode, raw)
        if not read then message = nil end
        local tag, eta = at(message, 'properties', 'delivery_tag'), at(message, 'headers', 'eta')
        local number_in_take = ARGV[3] .. '.' .. #taken
        if type(tag) ~= 'string' or tag == '' then tag = number_in_take end
        local receipt = number_in_take .. ':' .. tag
        local again = at(message, 'properties', 'delivery_info', 'redelivered') == true
            or at(message, 'headers', 'redelivered') == true
        local is_message = type(at(message, 'headers')) == 'table' and type(at(message, 'properties')) == 'table'
        local held = '[' .. (is_message and raw or as_text(raw)) .. ', "", ' .. ARGV[4] .. ']'
        redis.call('HSET', unacked, receipt, held)
        redis.call('ZADD', index, now_s, receipt)
        redis.call('ZADD', leases, now_ms + ARGV[2], receipt)
        taken[#taken + 1] = {receipt, tag, number - 4, again and 1 or 0, type(eta) == 'string' and eta or '', raw}
    end
end
return taken
"""
)

ACK = Script.of(
    _COMMON
    + r"""
-- Arguments: receipts.
for _, receipt in ipairs(ARGV) do
    if redis.call('ZREM', leases, receipt) == 1 then
        redis.call('ZREM', index, receipt)
        redis.call('HDEL', unacked, receipt)
    end
end
"""
)

EXTEND = Script.of(
    _COMMON
    + r"""
-- Arguments: the lease in ms, then receipts. Returns 1 for each that is still the consumer's, else 0.
local answers = {}
for number = 2, #ARGV do
    local receipt = ARGV[number]
    local ours = redis.call('ZSCORE', leases, receipt) and redis.call('HEXISTS', unacked, receipt) == 1
    if ours then
        redis.call('ZADD', leases, now_ms + ARGV[1], receipt)
        redis.call('ZADD', index, now_s, receipt)
    end
    answers[#answers + 1] = ours and 1 or 0
end
return answers
"""
)

GIVE_BACK = Script.of(
    _COMMON
    + r"""
-- Arguments: the command that adds to a list, then in turn a receipt, a list and the message for it.
for number = 2, #ARGV, 3 do
    local receipt = ARGV[number]
    if redis.call('ZREM', leases, receipt) == 1 then
        redis.call('ZREM', index, receipt)
        if redis.call('HDEL', unacked, receipt) == 1 then
            redis.call(ARGV[1], ARGV[number + 1], ARGV[number + 2])
        end
    end
end
"""
)

LAPSE = Script.of(
    _COMMON
    + r"""
-- Arguments: receipts, whose leases end now.
for _, receipt in ipairs(ARGV) do redis.call('ZADD', leases, 'XX', now_ms, receipt) end
"""
)

LOST = Script.of(
    _COMMON
    + r"""
-- Arguments: how many to pass over, how many at most. Returns receipt, held message and the ms since the end of the
-- lease of each whose consumer of Capa let it end. One that a worker of Celery restored is no longer theirs.
local found = {}
for _, receipt in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now_ms, 'LIMIT', ARGV[1], ARGV[2])) do
    local held = redis.call('HGET', unacked, receipt)
    if held then
        found[#found + 1] = {receipt, held, now_ms - redis.call('ZSCORE', leases, receipt)}
    else
        redis.call('ZREM', leases, receipt)
    end
end
return found
"""
)

OVERDUE = Script.of(
    _COMMON
    + r"""
-- Arguments: the visibility timeout in seconds, how many at most. Returns field and held message of each overdue one.
local found = {}
for _, field in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', now_s - ARGV[1], 'LIMIT', 0, ARGV[2])) do
    local held = redis.call('HGET', unacked, field)
    if held then
        found[#found + 1] = {field, held}
    else
        redis.call('ZREM', index, field)
    end
end
return found
"""
)

RESTORE = Script.of(
    _COMMON
    + r"""
-- Arguments: 1 if the lease of a consumer of Capa ended, 0 if the visibility timeout did; the field; the held message
-- as it was found; the visibility timeout in seconds; the message for the lists; the lists. Returns 1 if it was
-- restored: nobody renewed, settled or restored it meanwhile.
local field = ARGV[2]
local since, ended = redis.call('ZSCORE', index, field), redis.call('ZSCORE', leases, field)
if ARGV[1] == '1' then
    if not ended or tonumber(ended) > now_ms then return 0 end
elseif not since or tonumber(since) > now_s - ARGV[4] then
    return 0
end
if redis.call('HGET', unacked, field) ~= ARGV[3] then return 0 end
redis.call('ZREM', leases, field)
redis.call('ZREM', index, field)
redis.call('HDEL', unacked, field)
for number = 6, #ARGV do redis.call('RPUSH', ARGV[number], ARGV[5]) end
return 1
"""
)

TAKE_OVER = Script.of(
    _COMMON
    + r"""
-- Arguments: a receipt whose lease ended, the held message as it was found, the new receipt, what is held by it, and
-- the lease in ms. Returns 1 if it was taken: nobody renewed, settled, restored or took it meanwhile.
local old, held, new, anew, lease_ms = unpack(ARGV)
local ended = redis.call('ZSCORE', leases, old)
if not ended or tonumber(ended) > now_ms or redis.call('HGET', unacked, old) ~= held then return 0 end
redis.call('ZREM', leases, old)
redis.call('ZREM', index, old)
redis.call('HDEL', unacked, old)
redis.call('HSET', unacked, new, anew)
redis.call('ZADD', index, now_s, new)
redis.call('ZADD', leases, now_ms + lease_ms, new)
return 1
"""
)
