"""`side` of `[adapters.kombu]`: with `legacy` a connection is one of kombu itself."""

from typing import Any

import kombu
import pytest

import capa_kombu
from capa_core import Runtime, use_runtime
from capa_core.errors import UnsupportedError


@pytest.mark.server("redis")
@pytest.mark.filterwarnings("ignore:Call to deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_legacy_connection_and_a_stock_program_share_a_queue(redis_url: str) -> None:
    runtime = Runtime.in_memory({"adapters": {"kombu": {"side": "legacy"}}})
    with (
        runtime,
        use_runtime(runtime),
        capa_kombu.Connection(redis_url) as ours,
        kombu.Connection(redis_url) as theirs,
    ):
        ours.SimpleQueue("there").put("from ours")
        theirs.SimpleQueue("back").put("from theirs")
        found = [_taken(theirs, "there"), _taken(ours, "back")]

        assert ["from ours", "from theirs"] == found
        assert 0 == runtime.pubsub("kombu").depth("there", "celery")


def _taken(connection: Any, name: str) -> Any:
    message = connection.SimpleQueue(name).get(timeout=20)
    message.ack()
    return message.payload


def test_each_part_of_a_legacy_connection_is_the_originals() -> None:
    with use_runtime(Runtime.in_memory({"adapters": {"kombu": {"side": "legacy"}}})):
        ours, theirs = capa_kombu.Connection("memory://"), kombu.Connection("memory://")

        assert type(theirs.transport) is type(ours.transport)
        assert type(theirs.channel()) is type(ours.channel())
        assert theirs.connection_errors == ours.connection_errors


@pytest.mark.parametrize("side", ["shadow", "canary"])
def test_a_side_that_is_not_available_is_refused(side: str) -> None:
    refused = pytest.raises(UnsupportedError, match=f"side '{side}' is not available yet.*'capa', 'legacy'")
    with use_runtime(Runtime.in_memory({"adapters": {"kombu": {"side": side}}})), refused:
        capa_kombu.Connection("amqp://").connect()
