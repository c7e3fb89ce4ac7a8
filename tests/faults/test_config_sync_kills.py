"""`capa config sync` killed while both stores change: they are equal in the end, and nothing older has won.

A sample of `make faults`.
"""

import pytest
from reliability import config_sync
from reliability.config_sync import killed_while_both_change

pytestmark = pytest.mark.timeout(300)

KILLS = 5


@pytest.mark.server("redis")
def test_a_killed_sync_makes_equal_and_nothing_older_wins(tmp_path, redis_url, record_property):
    """Also of keys that are written on both sides, where the stores know when."""
    sides = 'driver = "sqlite"\nfolder = "left"', f'driver = "redis"\nurl = "{redis_url}"'
    counts = killed_while_both_change(tmp_path, sides, KILLS)
    record_property("counts", counts)

    assert (True, 0, 0) == (counts["keys"] > 0, counts["different"], counts["older"])


def test_a_killed_sync_of_a_file_and_apollo_makes_equal(tmp_path, apollo, record_property):
    """Of keys that are written on one side each: neither store knows when a key was written."""
    apollo.release("application", {"begin": "1"})
    sides = 'driver = "file"\npath = "left"', config_sync.apollo(apollo.url, apollo.token)
    counts = killed_while_both_change(tmp_path, sides, KILLS, shared=(), begin={"begin": "1"})
    record_property("counts", counts)

    assert (True, 0, 0) == (counts["keys"] > 0, counts["different"], counts["older"])
