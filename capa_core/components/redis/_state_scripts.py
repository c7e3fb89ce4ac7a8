"""The Lua scripts of state, for operations beyond one plain command. Layout and conditions: see `RedisState`."""

from __future__ import annotations

from capa_core.components.redis._client import Script

MARK = b"\x00\x01ce"
HEADER = len(MARK) + 16
"""The beginning of a stored value: MARK, 16 characters of etag, then the value."""

_ETAG = r"""
local function etag(key)
    local head = redis.call('GETRANGE', key, 0, 19)
    if #head == 20 and string.sub(head, 1, 4) == '\0\1ce' then
        return string.sub(head, 5)
    end
    if head == '' and redis.call('EXISTS', key) == 0 then
        return ''
    end
    return 'x' .. redis.sha1hex(redis.call('GET', key))
end

local function holds(key, condition)
    return condition == '' or '=' .. etag(key) == condition
end

local function store(key, value, ttl_ms, channel)
    if ttl_ms == '' then
        redis.call('SET', key, value)
    else
        redis.call('SET', key, value, 'PX', ttl_ms)
    end
    if channel ~= '' then
        redis.call('PUBLISH', channel, value)
    end
end
"""

PUT = Script.of(
    _ETAG
    + r"""
-- key; condition, value, ttl_ms, channel -> 1, or 0 if the condition does not hold
if not holds(KEYS[1], ARGV[1]) then
    return 0
end
store(KEYS[1], ARGV[2], ARGV[3], ARGV[4])
return 1
"""
)

DELETE = Script.of(
    _ETAG
    + r"""
-- key; condition -> how many were deleted, or -1 if the condition does not hold
if not holds(KEYS[1], ARGV[1]) then
    return -1
end
return redis.call('DEL', KEYS[1])
"""
)

TRANSACT = Script.of(
    _ETAG
    + r"""
-- keys; for each: condition, 'put' or 'delete', value, ttl_ms, channel -> 1, or 0 if a condition does not hold
for i, key in ipairs(KEYS) do
    if not holds(key, ARGV[i * 5 - 4]) then
        return 0
    end
end
for i, key in ipairs(KEYS) do
    if ARGV[i * 5 - 3] == 'put' then
        store(key, ARGV[i * 5 - 2], ARGV[i * 5 - 1], ARGV[i * 5])
    else
        redis.call('DEL', key)
    end
end
return 1
"""
)

INCREMENT = Script.of(
    r"""
-- key; by, header, ttl_ms -> the sum as text (numbers of Lua have 53 bits), or nil if it cannot be added
local stored = redis.call('GET', KEYS[1])
if not stored then
    redis.call('SET', KEYS[1], ARGV[2] .. ARGV[1])
    if ARGV[3] ~= '' then
        redis.call('PEXPIRE', KEYS[1], ARGV[3])
    end
    return ARGV[1]
end
local number = stored
if string.sub(stored, 1, 4) == '\0\1ce' then
    number = string.sub(stored, 21)
end
redis.call('SET', KEYS[1], number, 'KEEPTTL')
local answer = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(answer) == 'table' then
    redis.call('SET', KEYS[1], stored, 'KEEPTTL')
    return nil
end
local sum = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], ARGV[2] .. sum, 'KEEPTTL')
return sum
"""
)
