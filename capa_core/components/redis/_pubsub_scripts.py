"""The Lua scripts of pub/sub. Layout: see `RedisPubSub`. Each has the topic's base as its key and runs atomically.

Within a script: `key(level)` is a stream; a receipt is `level|entry id|number of the delivery`, since a consumer that
held a message for too long may get it again, and the first receipt must not settle the second delivery; `BACK` is the
placeholder consumer that owns returned messages; the sorted set `:back:<group>` orders them by the time of their
redelivery. An entry in `wake` signals to one waiting consumer of each group that a message is due before its next poll.
"""

from __future__ import annotations

from capa_core.components.redis._client import Script

BACK = "0|back"
"""Named like a consumer, `<lease in ms>|<unique>`."""

COMMON = r"""
local base = KEYS[1]
local BACK = '0|back'

local wake = base .. ':wake'
local SOON_MS = 250 -- the longest time between two polls of a waiting consumer

local function key(level) return base .. ':' .. level end

local function signal_due(delay_ms)
    if tonumber(delay_ms) < SOON_MS then redis.pcall('XADD', wake, 'MAXLEN', 1, '*', 'in', delay_ms) end
end

local function now_ms()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The level and the fields of a message that is due later; nil if another program wrote what is there.
local function delayed_message(packed)
    local unpacked, fields = pcall(cmsgpack.unpack, packed)
    if not unpacked or type(fields) ~= 'table' or not tonumber(fields[1]) or #fields < 3 then return nil end
    return table.remove(fields, 1), fields
end

-- Level, entry id and number of the delivery; the last is nil where any delivery is meant.
local function split(receipt)
    local level, id, number = string.match(receipt, '^(%d)|([^|]+)|?(%d*)$')
    return level, id, tonumber(number)
end

-- The number of deliveries of the entry if `consumer` owns it, in that delivery if `number` says one; else nil, also if
-- the group does not exist.
local function deliveries(level, group, id, consumer, number)
    local pending = redis.pcall('XPENDING', key(level), group, id, id, 1, consumer)
    if pending.err then
        if string.find(pending.err, 'NOGROUP') then return nil end
        error(pending)
    end
    local count = pending[1] and pending[1][4]
    if number and number ~= count then return nil end
    return count
end

local function hand_back(level, group, id, count, due)
    redis.call('XCLAIM', key(level), group, BACK, 0, id, 'RETRYCOUNT', count, 'JUSTID')
    redis.call('ZADD', base .. ':back:' .. group, due, level .. '|' .. id)
end

local function after(id, other)
    local ms, seq = string.match(id, '(%d+)-(%d+)')
    local other_ms, other_seq = string.match(other, '(%d+)-(%d+)')
    if ms ~= other_ms then return tonumber(ms) > tonumber(other_ms) end
    return tonumber(seq) > tonumber(other_seq)
end

-- Name, last delivered id, pending and lag of each group of a stream.
local function groups_of(level)
    local found = {}
    for _, info in ipairs(redis.pcall('XINFO', 'GROUPS', key(level))) do
        local group = {}
        for i = 1, #info, 2 do group[info[i]] = info[i + 1] end
        found[#found + 1] = group
    end
    return found
end

-- How many entries a group of `groups_of` has not been sent. A replica does not count what the groups of its master
-- read: once it is the master, their `lag` is too large for good. So it counts only where there are many on both sides.
local function undelivered(level, group)
    local FEW, last = 100, group['last-delivered-id']
    local after = #redis.call('XRANGE', key(level), '(' .. last, '+', 'COUNT', FEW)
    if after < FEW then return after end
    local before, most = #redis.call('XRANGE', key(level), '-', last, 'COUNT', FEW), redis.call('XLEN', key(level))
    if before < FEW then return most - before end
    if group.lag and group.lag <= most - group.pending then return group.lag end
    return #redis.call('XRANGE', key(level), '(' .. last, '+')
end

-- The entries that every group has processed, which can be deleted.
local function unneeded(level, ids, group)
    local kept = {}
    for _, other in ipairs(groups_of(level)) do
        if other.name ~= group then
            for _, id in ipairs(ids) do
                kept[id] = kept[id] or after(id, other['last-delivered-id'])
                    or #redis.call('XPENDING', key(level), other.name, id, id, 1) > 0
            end
        end
    end
    local free = {}
    for _, id in ipairs(ids) do
        if not kept[id] then free[#free + 1] = id end
    end
    return free
end

-- Delete the entries before the first one that a remaining group needs.
local function trim(level)
    local groups, least = groups_of(level), nil
    for _, group in ipairs(groups) do
        local first = redis.call('XPENDING', key(level), group.name)[2]
        if not first then
            local ms, seq = string.match(group['last-delivered-id'], '(%d+)-(%d+)')
            first = ms .. '-' .. string.format('%.0f', seq + 1)
        end
        if not least or after(least, first) then least = first end
    end
    if least then redis.call('XTRIM', key(level), 'MINID', '=', least) end
end

local function destroy(group)
    redis.call('HDEL', base .. ':groups', group)
    redis.call('DEL', base .. ':back:' .. group)
    local last = redis.call('EXISTS', base .. ':groups') == 0
    for level = 0, 9 do
        redis.pcall('XGROUP', 'DESTROY', key(level), group)
        if last then
            if redis.call('XLEN', key(level)) == 0 then redis.call('DEL', key(level)) end
        else
            trim(level)
        end
    end
    redis.pcall('XGROUP', 'DESTROY', wake, group)
    if last then redis.call('DEL', wake) end
end

-- Remove temporary groups without a heartbeat.
local function sweep(now)
    local groups = redis.call('HGETALL', base .. ':groups')
    for i = 1, #groups, 2 do
        local deadline = tonumber(groups[i + 1])
        if deadline > 0 and deadline <= now then destroy(groups[i]) end
    end
end
"""

JOIN = Script.of(
    COMMON
    + r"""
-- group, ms after the last heartbeat at which it is removed (0: never)
local group, life, now = ARGV[1], tonumber(ARGV[2]), now_ms()
sweep(now)
local from = '$'
if life == 0 then
    local first, deadlines = true, redis.call('HVALS', base .. ':groups')
    for _, deadline in ipairs(deadlines) do first = first and deadline ~= '0' end
    if first then from = '0' end
end
redis.call('HSET', base .. ':groups', group, life == 0 and 0 or string.format('%.0f', now + life))
for level = 0, 9 do
    local made = redis.pcall('XGROUP', 'CREATE', key(level), group, from, 'MKSTREAM')
    if made.err and not string.find(made.err, 'BUSYGROUP') then return made end
end
redis.pcall('XGROUP', 'CREATE', wake, group, '$', 'MKSTREAM')
return 1
"""
)

LATER = Script.of(
    COMMON
    + r"""
-- ms until it is due, level, then the fields of the entry
local fields = {}
for i = 2, #ARGV do fields[i - 1] = ARGV[i] end
redis.call('ZADD', base .. ':later', string.format('%.0f', now_ms() + ARGV[1]), cmsgpack.pack(fields))
signal_due(ARGV[1])
return 1
"""
)

ONCE = Script.of(
    COMMON
    + r"""
-- ms for which the id is known, id, ms until it is due (0: now), level, then the fields of the entry -> 0 if known
local once, ident, delay, level = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[4]
local known, now, fields = base .. ':once', now_ms(), {}
redis.call('ZREMRANGEBYSCORE', known, '-inf', now)
if redis.call('ZSCORE', known, ident) then return 0 end
for i = 5, #ARGV do fields[i - 4] = ARGV[i] end
if delay > 0 then
    table.insert(fields, 1, level)
    redis.call('ZADD', base .. ':later', string.format('%.0f', now + delay), cmsgpack.pack(fields))
    signal_due(delay)
else
    redis.call('XADD', key(level), '*', unpack(fields))
end
redis.call('ZADD', known, string.format('%.0f', now + once), ident)
if redis.call('PTTL', known) < once then redis.call('PEXPIRE', known, once) end
return 1
"""
)

TAKE = Script.of(
    COMMON
    + r"""
-- group, consumer, how many, whether to look for lost leases, ms of life without a heartbeat (0: permanent), 1 if it
-- was woken -> {level, count, id, fields} of each redelivery, {level, entries} of each level with new ones, ms until
-- the next is due (nil: none is known)
local group, consumer, room = ARGV[1], ARGV[2], tonumber(ARGV[3])
local now, again, new = now_ms(), {}, {}

local function claim(level, id, idle, count)
    local entry = redis.call('XCLAIM', key(level), group, consumer, idle, id)[1]
    if entry then
        again[#again + 1] = {level, count + 1, entry[1], entry[2]}
        room = room - 1
    else
        redis.call('XACK', key(level), group, id) -- purged meanwhile
    end
end

if ARGV[5] ~= '0' and redis.call('HEXISTS', base .. ':groups', group) == 1 then
    redis.pcall('HSET', base .. ':groups', group, string.format('%.0f', now + ARGV[5]))
end

redis.call('XTRIM', wake, 'MAXLEN', 0)
if ARGV[6] == '1' then redis.pcall('XGROUP', 'DELCONSUMER', wake, group, consumer) end

for _, packed in ipairs(redis.call('ZRANGEBYSCORE', base .. ':later', '-inf', now, 'LIMIT', 0, 1000)) do
    local level, fields = delayed_message(packed)
    if level then
        local added = redis.pcall('XADD', key(level), '*', unpack(fields))
        if added.err then break end -- out of memory: it stays; receiving other messages may free memory
    end
    redis.call('ZREM', base .. ':later', packed)
end

local back = base .. ':back:' .. group
for _, receipt in ipairs(redis.call('ZRANGEBYSCORE', back, '-inf', now, 'LIMIT', 0, room)) do
    local level, id = split(receipt)
    redis.call('ZREM', back, receipt)
    local count = deliveries(level, group, id, BACK)
    if count then claim(level, id, 0, count) end
end

if ARGV[4] == '1' then
    sweep(now)
    for level = 9, 0, -1 do
        for _, holder in ipairs(redis.call('XPENDING', key(level), group)[4] or {}) do
            local lease = string.match(holder[1], '^(%d+)|')
            if holder[1] ~= BACK and lease and room > 0 then
                local lost = redis.call('XPENDING', key(level), group, 'IDLE', lease, '-', '+', room, holder[1])
                for _, pending in ipairs(lost) do claim(level, pending[1], lease, pending[4]) end
            end
        end
    end
end

for level = 9, 0, -1 do
    if room <= 0 then break end
    local read = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', room, 'STREAMS', key(level), '>')
    if read then
        local entries = read[1][2]
        new[#new + 1] = {level, entries}
        room = room - #entries
    end
end

local function first_of(waiting)
    local due = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2]
    return due and math.max(0, tonumber(due) - now)
end

local later, returning = first_of(base .. ':later'), first_of(back)
return {again, new, later and returning and math.min(later, returning) or later or returning or nil}
"""
)

ACK = Script.of(
    COMMON
    + r"""
-- group, consumer, receipts with a space between two -> how many the consumer still owned
local group, consumer, wanted, done = ARGV[1], ARGV[2], {}, 0
for level, id, number in string.gmatch(ARGV[3], '(%d)|([^| ]+)|?(%d*)') do
    local receipts = wanted[level]
    if not receipts then
        receipts = {ids = {}, numbers = {}}
        wanted[level] = receipts
    end
    local place = #receipts.ids + 1
    receipts.ids[place], receipts.numbers[place] = id, tonumber(number)
end

-- The ids that the consumer owns in those deliveries. They are nearly always its oldest ones: one look for all of them
-- takes a fraction of the time of one for each, which is left for those that it did not show.
local function owned(level, ids, numbers)
    local ours, counts = {}, {}
    local pending = redis.pcall('XPENDING', key(level), group, ids[1], ids[#ids], 2 * #ids, consumer)
    for _, entry in ipairs(pending) do counts[entry[1]] = entry[4] end
    for place, id in ipairs(ids) do
        local count, number = counts[id] or deliveries(level, group, id, consumer), numbers[place]
        if count and (not number or number == count) then ours[#ours + 1] = id end
    end
    return ours
end

local alone = redis.call('HLEN', base .. ':groups') == 1
for level, receipts in pairs(wanted) do
    local ids = owned(level, receipts.ids, receipts.numbers)
    done = done + #ids
    for first = 1, #ids, 1000 do
        local some = {unpack(ids, first, math.min(first + 999, #ids))}
        redis.call('XACK', key(level), group, unpack(some))
        local free = alone and some or unneeded(level, some, group)
        if #free > 0 then redis.call('XDEL', key(level), unpack(free)) end
    end
end
return done
"""
)

NACK = Script.of(
    COMMON
    + r"""
-- group, consumer, ms until their redelivery, 1 to undo the count of the delivery, then receipts
local group, consumer, due = ARGV[1], ARGV[2], string.format('%.0f', now_ms() + ARGV[3])
for i = 5, #ARGV do
    local level, id, number = split(ARGV[i])
    local count = deliveries(level, group, id, consumer, number)
    if count then hand_back(level, group, id, count - ARGV[4], due) end
end
signal_due(ARGV[3])
return 1
"""
)

EXTEND = Script.of(
    COMMON
    + r"""
-- group, consumer, ms of life without a heartbeat (0: permanent), then receipts -> 1 or 0 for each
local group, consumer, held = ARGV[1], ARGV[2], {}
if ARGV[3] ~= '0' and redis.call('HEXISTS', base .. ':groups', group) == 1 then
    redis.pcall('HSET', base .. ':groups', group, string.format('%.0f', now_ms() + ARGV[3]))
end
for i = 4, #ARGV do
    local level, id, number = split(ARGV[i])
    if deliveries(level, group, id, consumer, number) then
        redis.call('XCLAIM', key(level), group, consumer, 0, id, 'JUSTID')
        held[#held + 1] = 1
    else
        held[#held + 1] = 0
    end
end
return held
"""
)

LEAVE = Script.of(
    COMMON
    + r"""
-- group, consumer, 1 if the group is temporary
local group, consumer = ARGV[1], ARGV[2]
if ARGV[3] == '1' then
    destroy(group)
    return 1
end
if redis.call('HEXISTS', base .. ':groups', group) == 0 then return 0 end
local now, any = now_ms(), false
for level = 0, 9 do
    local held = redis.call('XPENDING', key(level), group, '-', '+', 1000, consumer)
    while #held > 0 do
        any = true
        for _, pending in ipairs(held) do hand_back(level, group, pending[1], pending[4] - 1, now) end
        held = redis.call('XPENDING', key(level), group, '-', '+', 1000, consumer)
    end
    redis.call('XGROUP', 'DELCONSUMER', key(level), group, consumer)
end
redis.pcall('XGROUP', 'DELCONSUMER', wake, group, consumer)
if any then signal_due(0) end
return 1
"""
)

FORGET_CONSUMERS = Script.of(
    COMMON
    + r"""
-- group, a consumer, ms: remove consumers that hold nothing and were inactive for that long
for level = 0, 9 do
    for _, info in ipairs(redis.pcall('XINFO', 'CONSUMERS', key(level), ARGV[1])) do
        local consumer = {}
        for i = 1, #info, 2 do consumer[info[i]] = info[i + 1] end
        if consumer.pending == 0 and consumer.idle > tonumber(ARGV[3]) then
            redis.call('XGROUP', 'DELCONSUMER', key(level), ARGV[1], consumer.name)
            redis.pcall('XGROUP', 'DELCONSUMER', wake, ARGV[1], consumer.name)
        end
    end
end
return 1
"""
)

DEPTH = Script.of(
    COMMON
    + r"""
-- group -> how many wait for it, or would be found by it
local wanted = ARGV[1]
local total = redis.call('ZCARD', base .. ':later')
local known = redis.call('HEXISTS', base .. ':groups', wanted) == 1
if not known then
    for _, deadline in ipairs(redis.call('HVALS', base .. ':groups')) do
        if deadline == '0' then return 0 end
    end
end
local alone = not known or redis.call('HLEN', base .. ':groups') == 1
for level = 0, 9 do
    if alone then
        total = total + redis.call('XLEN', key(level))
    else
        for _, group in ipairs(groups_of(level)) do
            if group.name == wanted then
                total = total + group.pending + undelivered(level, group)
            end
        end
    end
end
return total
"""
)

PURGE = Script.of(
    COMMON
    + r"""
-- -> how many messages there were
local total = redis.call('ZCARD', base .. ':later')
redis.call('DEL', base .. ':later')
for level = 0, 9 do
    total = total + redis.call('XLEN', key(level))
    for _, group in ipairs(groups_of(level)) do
        local pending = redis.call('XPENDING', key(level), group.name, '-', '+', 1000)
        while #pending > 0 do
            for _, entry in ipairs(pending) do redis.call('XACK', key(level), group.name, entry[1]) end
            pending = redis.call('XPENDING', key(level), group.name, '-', '+', 1000)
        end
        redis.call('DEL', base .. ':back:' .. group.name)
        redis.call('XGROUP', 'SETID', key(level), group.name, '$') -- or what is trimmed counts as not yet delivered
    end
    if redis.call('EXISTS', key(level)) == 1 then redis.call('XTRIM', key(level), 'MAXLEN', '=', 0) end
end
return total
"""
)
