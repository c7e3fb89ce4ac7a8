"""Buckets of NATS KV beyond the conformance suites: other programs, operators, and clocks."""

import pytest
from nats.js import api

from capa_core.blocks.lock import Locks
from capa_core.blocks.state import State
from capa_core.components.nats._clock import ServerClock
from capa_core.components.nats.lock import NatsLock
from capa_core.components.nats.state import NatsState
from capa_core.errors import ConflictError

pytestmark = [pytest.mark.server("nats"), pytest.mark.timeout(60)]


@pytest.fixture
def locks(nats_url, topic):
    with Locks(NatsLock(NatsLock.settings_type(url=nats_url, prefix=topic))) as locks:
        yield locks


@pytest.fixture
def state(nats_url, topic):
    with State(NatsState(NatsState.settings_type(url=nats_url, prefix=topic))) as state:
        yield state


def test_a_value_that_is_no_lock_is_in_the_way_and_told(locks, topic, elsewhere):
    async def put(client):
        await (await client.jetstream().key_value(f"{topic}-lock")).put("k", b"foreign")

    locks.try_lock("other", "me")
    elsewhere(put)

    assert locks.try_lock("k", "me") is None
    assert {"k": f"$KV.{topic}-lock.k"} == locks._driver.in_the_way
    assert [f"$KV.{topic}-lock.k"] == list(locks._driver.foreign())


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"max_age": 60}, "max_age must be 0"), ({"retention": "interest"}, "retention must be limits")],
    ids=str,
)
def test_a_bucket_that_an_operator_made_and_that_loses_is_named(state, topic, elsewhere, changed, told):
    config = {"name": f"KV_{topic}-state", "subjects": [f"$KV.{topic}-state.>"], "max_msgs_per_subject": 1}
    config |= {"allow_msg_ttl": True, "discard": "new"} | changed
    elsewhere(lambda client: client.jetstream().add_stream(api.StreamConfig(**config)))

    with pytest.raises(ConflictError, match=f"the bucket '{topic}-state'.*{told}.*nats stream edit"):
        state.put("k", b"x")


def test_the_servers_clock_lies_between_its_bounds():
    clock = ServerClock()
    told = "2026-11-30T00:00:00.25Z"
    earliest, latest = clock.earliest(lambda: told), clock.latest(lambda: told)

    assert earliest <= latest + 0.01
    assert 1795996800.25 <= latest < 1795996800.25 + 5
