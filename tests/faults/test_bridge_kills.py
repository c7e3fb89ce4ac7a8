"""A bridge that is killed at any moment under load: nothing is lost, keys stay in order, few messages come twice.

A sample of `make faults`.
"""

from uuid import uuid4

import pytest
from reliability.bridge import BATCH, RABBITMQ, REDIS, SQLITE, killed_under_load

pytestmark = pytest.mark.timeout(300)

MESSAGES, KILLS = 1_000, 5


@pytest.mark.server("redis")
def test_a_killed_bridge_loses_nothing_keeps_the_order_by_key_and_moves_each_once(
    tmp_path, redis_url, record_property
):
    """To a target that knows ids again."""
    words = {"redis": redis_url}
    counts = killed_under_load(tmp_path, (SQLITE, REDIS), words, MESSAGES, KILLS, with_keys=True)
    record_property("counts", counts)

    assert {"sent": MESSAGES, "moved": MESSAGES, "lost": 0, "duplicated": 0, "out of order": 0} == counts


@pytest.mark.server("redis")
@pytest.mark.server("rabbitmq")
def test_a_killed_bridge_moves_twice_at_most_what_was_in_flight(
    tmp_path, redis_url, rabbitmq_url, record_property
):
    """To a target that does not know ids again: a state component does, but for the batch of a kill."""
    words = {"redis": redis_url, "rabbitmq": rabbitmq_url, "unique": uuid4().hex}
    counts = killed_under_load(tmp_path, (REDIS, RABBITMQ), words, MESSAGES, KILLS, with_keys=False)
    record_property("counts", counts)

    assert (MESSAGES, 0) == (counts["moved"], counts["lost"])
    assert counts["duplicated"] <= KILLS * BATCH
