"""The Lua scripts that inspect queues, and purge that of one group; the layout is that of `_pubsub_scripts`."""

from __future__ import annotations

from capa_core.components.redis._client import Script
from capa_core.components.redis._pubsub_scripts import COMMON

LIVING_CONSUMER_MS = 60_000
"""A consumer without messages that was inactive for this time is not counted."""

INSPECT = Script.of(
    COMMON
    + r"""
-- ms until a consumer counts as inactive -> number of messages without a group, publishing time of the oldest of them,
-- then for each group: name, depth, in flight, publishing time of the oldest, consumers, 1 if it is temporary. Times
-- are ms, '' for none.
local now, later = now_ms(), base .. ':later'

local function published(id, fields)
    for i = 1, #fields, 2 do
        if fields[i] == 't' then return math.floor(tonumber(fields[i + 1]) * 1000) end
    end
    return id and tonumber(string.match(id, '^%d+'))
end

local function oldest(level, from, best)
    local entry = redis.call('XRANGE', key(level), from, '+', 'COUNT', 1)[1]
    local time = entry and published(entry[1], entry[2])
    return time and (not best or time < best) and time or best
end

local delayed, first_delayed = redis.call('ZCARD', later), nil
if delayed > 0 then
    local level, fields = delayed_message(redis.call('ZRANGE', later, 0, 0)[1])
    first_delayed = level and published(nil, fields)
end

local function text(time) return time and string.format('%.0f', time) or '' end

local names = redis.call('HGETALL', base .. ':groups')
local found, lasting = {}, false
for i = 1, #names, 2 do
    if names[i + 1] == '0' then lasting = true end
    if names[i + 1] == '0' or tonumber(names[i + 1]) > now then
        found[names[i]] = {depth = delayed, pending = 0, oldest = first_delayed, consumers = 0, names = {},
                           temporary = names[i + 1] ~= '0' and 1 or 0}
    end
end

local kept, kept_oldest = lasting and 0 or delayed, not lasting and first_delayed or nil
for level = 0, 9 do
    if not lasting and redis.call('EXISTS', key(level)) == 1 then
        kept = kept + redis.call('XLEN', key(level))
        kept_oldest = oldest(level, '-', kept_oldest)
    end
    for _, info in ipairs(groups_of(level)) do
        local group = found[info.name]
        if group then
            local last = info['last-delivered-id']
            local lag = undelivered(level, info)
            group.depth = group.depth + info.pending + lag
            group.pending = group.pending + info.pending
            if lag > 0 then group.oldest = oldest(level, '(' .. last, group.oldest) end
            if info.pending > 0 then
                group.oldest = oldest(level, redis.call('XPENDING', key(level), info.name)[2], group.oldest)
            end
            for _, pairs_of in ipairs(redis.call('XINFO', 'CONSUMERS', key(level), info.name)) do
                local consumer = {}
                for i = 1, #pairs_of, 2 do consumer[pairs_of[i]] = pairs_of[i + 1] end
                local lives = consumer.idle < tonumber(ARGV[1]) or consumer.pending > 0
                if lives and consumer.name ~= BACK and not group.names[consumer.name] then
                    group.names[consumer.name] = true -- a consumer reads several levels
                    group.consumers = group.consumers + 1
                end
            end
        end
    end
end

local answer = {kept, kept > 0 and text(kept_oldest) or ''}
for name, group in pairs(found) do
    local resting = redis.call('ZCOUNT', base .. ':back:' .. name, '-inf', now)
    answer[#answer + 1] = {name, group.depth, math.max(0, group.pending - resting),
                           group.depth > 0 and text(group.oldest) or '', group.consumers, group.temporary}
end
return answer
"""
)

PEEK = Script.of(
    COMMON
    + r"""
-- group, how many, most bytes of a body, position -> for each: position, level, state, count, size, ms, fields
local group, most, max_bytes, now = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), now_ms()
local start, start_id = string.match(ARGV[4], '^([%dL])|(.+)$')
local found, back = {}, base .. ':back:' .. group
local known = redis.call('HEXISTS', base .. ':groups', group) == 1
if not known then
    for _, deadline in ipairs(redis.call('HVALS', base .. ':groups')) do
        if deadline == '0' then return {} end
    end
end

local function add(position, level, state, count, id, fields)
    local size = 0
    for i = 1, #fields, 2 do
        if fields[i] == 'd' then
            size = #fields[i + 1]
            fields[i + 1] = string.sub(fields[i + 1], 1, max_bytes)
        end
    end
    found[#found + 1] = {position, level, state, count, size, id, fields}
end

-- State and count of an entry for the group; nil if the group has processed it.
local function state_of(level, id, last)
    if not known then return 'ready', 0 end
    local pending = redis.call('XPENDING', key(level), group, id, id, 1)[1]
    if not pending then return after(id, last) and 'ready', 0 end
    local due = pending[2] == BACK and redis.call('ZSCORE', back, level .. '|' .. id)
    return due and tonumber(due) <= now and 'ready' or 'in flight', pending[4]
end

if start ~= 'L' then
    for level = start and tonumber(start) or 9, 0, -1 do
        local last = '0-0'
        for _, info in ipairs(groups_of(level)) do
            if info.name == group then last = info['last-delivered-id'] end
        end
        local from = start and level == tonumber(start) and '(' .. start_id or '-'
        while #found < most do
            local entries = redis.call('XRANGE', key(level), from, '+', 'COUNT', most - #found)
            for _, entry in ipairs(entries) do
                local state, count = state_of(level, entry[1], last)
                if state then add(level .. '|' .. entry[1], level, state, count, entry[1], entry[2]) end
                from = '(' .. entry[1]
            end
            if #entries == 0 then break end
        end
        if #found >= most then return found end
    end
end

local rank = start == 'L' and tonumber(start_id) + 1 or 0
for _, packed in ipairs(redis.call('ZRANGE', base .. ':later', rank, rank + most - #found - 1)) do
    local level, fields = delayed_message(packed)
    if level then add('L|' .. rank, level, 'delayed', 0, '', fields) end
    rank = rank + 1
end
return found
"""
)

PURGE_GROUP = Script.of(
    COMMON
    + r"""
-- group -> the number of its messages
local group, total = ARGV[1], 0
if redis.call('HEXISTS', base .. ':groups', group) == 0 then return 0 end
local alone = redis.call('HLEN', base .. ':groups') == 1
if alone then
    total = redis.call('ZCARD', base .. ':later')
    redis.call('DEL', base .. ':later')
end

local function drop(level, ids)
    total = total + #ids
    local free = alone and ids or unneeded(level, ids, group)
    if #free > 0 then redis.call('XDEL', key(level), unpack(free)) end
end

local function ids_of(rows)
    local ids = {}
    for _, row in ipairs(rows) do ids[#ids + 1] = row[1] end
    return ids
end

for level = 0, 9 do
    for _, info in ipairs(groups_of(level)) do
        if info.name == group then
            redis.call('XGROUP', 'SETID', key(level), group, '$')
            local ids = ids_of(redis.call('XPENDING', key(level), group, '-', '+', 1000))
            while #ids > 0 do
                redis.call('XACK', key(level), group, unpack(ids))
                drop(level, ids)
                ids = ids_of(redis.call('XPENDING', key(level), group, '-', '+', 1000))
            end
            local from = '(' .. info['last-delivered-id']
            ids = ids_of(redis.call('XRANGE', key(level), from, '+', 'COUNT', 100))
            while #ids > 0 do
                from = '(' .. ids[#ids]
                drop(level, ids)
                ids = ids_of(redis.call('XRANGE', key(level), from, '+', 'COUNT', 100))
            end
        end
    end
end
redis.call('DEL', base .. ':back:' .. group)
return total
"""
)
