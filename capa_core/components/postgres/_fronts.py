"""The front of each queue: the place from which its messages are looked for, so that those that are gone cost nothing.

An index keeps an entry of each message that was leased or removed, until a vacuum: a look from the beginning steps over
all that were drained since the last one. So a queue notes from which number on messages of each urgency may be ready,
and after which time others may be due. Both are what an earlier look from the beginning found, a second ago or more:
a publisher that got its number before that may have committed since. A look each second finds one that took longer.

A message that is ready again has its old number, in front of that place: RETURNED, with an index of its own, is for it.
"""

from __future__ import annotations

RETURNED = "'4000-01-01 00:00:00+00 BC'::timestamptz"

# The urgencies that Capa writes have a place of their own; those below and above are of other programs.
_LEVELS = """
    unnest('{-32768,0,1,2,3,4,5,6,7,8,9}'::smallint[], firsts, '{-1,0,1,2,3,4,5,6,7,8,32767}'::smallint[])
    AS level (low, first, high)
"""
_READY = """
    WHERE message.queue = %(queue)s AND visible_at = '-infinity'
        AND (urgency, seq) >= (low, first) AND urgency <= high
    ORDER BY urgency, seq
"""
_TABLE = f"""
CREATE TABLE capa.front (
    queue bigint PRIMARY KEY,
    look_at timestamptz NOT NULL, -- the time of the next look from the beginning
    firsts bigint[] NOT NULL, -- the first number of each urgency, from the most urgent on
    next_firsts bigint[] NOT NULL, -- as the last look found them
    due_after timestamptz NOT NULL,
    next_due_after timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX message_returned ON capa.message (queue, urgency, seq) WHERE visible_at = {RETURNED};
"""
# Functions, for their settings: a planner that has no statistics yet sorts the whole backlog for each lease. The costs
# that stand for "off" would also call for a compilation of each query (jit).
_SETTINGS = "SET enable_bitmapscan = off SET enable_seqscan = off SET enable_sort = off SET jit = off"
# Also where the server's clock was set back by more than the longest time between two looks.
_LOOK_IS_DUE = "(look_at <= clock_timestamp() OR look_at > clock_timestamp() + interval '11 s')"
_LOOK = f"""
CREATE FUNCTION capa.look(queue bigint) RETURNS void LANGUAGE plpgsql {_SETTINGS} AS $$
#variable_conflict use_column
DECLARE
    began timestamptz := clock_timestamp();
    known capa.front;
    found_firsts bigint[];
    found_due_after timestamptz;
BEGIN
    INSERT INTO capa.front VALUES (
        look.queue, '-infinity', array_fill(-9223372036854775808, ARRAY[11]),
        array_fill(-9223372036854775808, ARRAY[11]), {RETURNED}, {RETURNED}
    ) ON CONFLICT DO NOTHING;
    SELECT * INTO known FROM capa.front WHERE front.queue = look.queue AND {_LOOK_IS_DUE};
    IF NOT FOUND OR NOT pg_try_advisory_xact_lock(hashtextextended('capa look ' || look.queue, 0)) THEN
        RETURN; -- another one looks
    END IF;
    SELECT array_agg((
        SELECT seq FROM capa.message
        WHERE message.queue = look.queue AND visible_at = '-infinity' AND urgency = place - 2
        ORDER BY urgency, seq LIMIT 1
    ) ORDER BY place) INTO found_firsts FROM generate_series(1, 11) AS place;
    SELECT min(visible_at) - interval '1 us' INTO found_due_after FROM capa.message
    WHERE message.queue = look.queue AND visible_at > {RETURNED} AND visible_at <= now();
    IF found_due_after IS NULL AND NOT EXISTS (
        SELECT FROM unnest(found_firsts) AS first WHERE first IS NOT NULL
    ) THEN
        RETURN; -- an idle queue, which is asked once a second, is not written
    END IF;
    UPDATE capa.front SET
        firsts = (SELECT array_agg(least(was, is_now) ORDER BY place)
            FROM unnest(known.next_firsts, found_firsts) WITH ORDINALITY AS level (was, is_now, place)),
        next_firsts = (SELECT array_agg(coalesce(is_now, was) ORDER BY place)
            FROM unnest(known.next_firsts, found_firsts) WITH ORDINALITY AS level (was, is_now, place)),
        due_after = least(known.next_due_after, found_due_after),
        next_due_after = coalesce(found_due_after, now()),
        look_at = began + least(interval '10 s', greatest(interval '1 s', 20 * (clock_timestamp() - began)))
    WHERE front.queue = look.queue;
END $$;
"""
_CHOOSE = f"""
CREATE FUNCTION capa.choose(queue bigint, most integer) RETURNS tid[] LANGUAGE plpgsql {_SETTINGS} AS $$
#variable_conflict use_column
DECLARE
    front capa.front;
    chosen tid[];
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT * INTO front FROM capa.front WHERE front.queue = choose.queue;
    IF front.look_at IS NULL OR {_LOOK_IS_DUE.replace("look_at", "front.look_at")} THEN
        PERFORM capa.look(choose.queue);
        SELECT * INTO front FROM capa.front WHERE front.queue = choose.queue;
    END IF;
    WITH ready AS MATERIALIZED (
        SELECT place, urgency, seq FROM {_LEVELS.replace("firsts", "front.firsts")}, LATERAL (
            SELECT ctid AS place, urgency, seq FROM capa.message {_READY % {"queue": "choose.queue"}}
            LIMIT most FOR UPDATE SKIP LOCKED
        ) AS each LIMIT most
    ), returned AS MATERIALIZED (
        SELECT ctid AS place, urgency, seq FROM capa.message
        WHERE message.queue = choose.queue AND visible_at = {RETURNED}
        ORDER BY urgency, seq LIMIT most FOR UPDATE SKIP LOCKED
    ), due AS MATERIALIZED (
        SELECT ctid AS place, urgency, seq FROM capa.message
        WHERE message.queue = choose.queue AND visible_at > '-infinity' AND visible_at > front.due_after
            AND visible_at <= now()
        ORDER BY visible_at LIMIT most FOR UPDATE SKIP LOCKED
    ), available AS (
        SELECT place FROM (TABLE ready UNION ALL TABLE returned UNION ALL TABLE due) AS each
        ORDER BY urgency, seq LIMIT most
    )
    SELECT array_agg(place) INTO chosen FROM available;
    RETURN chosen;
END $$;
"""
_NEXT = f"""
CREATE FUNCTION capa.next_in_s(queue bigint) RETURNS float8 LANGUAGE plpgsql STABLE {_SETTINGS} AS $$
#variable_conflict use_column
DECLARE
    front capa.front;
BEGIN
    SELECT * INTO front FROM capa.front WHERE front.queue = next_in_s.queue;
    IF EXISTS (
        SELECT FROM {_LEVELS.replace("firsts", "front.firsts")}, LATERAL (
            SELECT FROM capa.message {_READY % {"queue": "next_in_s.queue"}} LIMIT 1
        ) AS each
    ) OR EXISTS (
        SELECT FROM capa.message WHERE message.queue = next_in_s.queue AND visible_at = {RETURNED}
    ) THEN
        RETURN 0;
    END IF;
    RETURN (
        SELECT date_part('epoch', min(visible_at) - now()) FROM capa.message
        WHERE message.queue = next_in_s.queue AND visible_at > '-infinity' AND visible_at > front.due_after
            AND isfinite(visible_at)
    );
END $$;
"""
STEP = _TABLE + _LOOK + _CHOOSE + _NEXT
