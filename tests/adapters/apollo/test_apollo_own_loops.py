"""The thread of a subclass with a loop of its own: a failure in it is logged, and it goes on."""

import pytest

from capa_apollo.pyapollo.apollo_client import ApolloClient
from capa_core import supervision
from capa_core.conformance._tolerance import wait_until

CAUSE = "struck by a test"
FAILURES = pytest.mark.parametrize("failure", [SystemExit, KeyError])


@pytest.fixture(autouse=True)
def short_rest(monkeypatch):
    monkeypatch.setattr(supervision, "RESTART_S", 0.05)


@FAILURES
def test_a_poll_that_fails_is_followed_by_the_next(configuration, caplog, failure):
    seen, failures = [], [failure(CAUSE)]

    class Loud(ApolloClient):
        def _long_poll(self):
            super()._long_poll()
            if seen and failures:
                raise failures.pop()
            seen.append(self.get_value("a"))

    configuration.save({"a": "1"})
    client = Loud("app", timeout=1)
    client.start()
    wait_until(lambda: not failures)
    configuration.save({"a": "2"})
    wait_until(lambda: seen[-1:] == ["2"])
    client.stop()
    wait_until(lambda: client.stopped)

    assert 1 == caplog.text.count(CAUSE)
    assert "capa-apollo-listener" in caplog.text


@FAILURES
def test_a_loop_that_fails_begins_again(configuration, caplog, failure):
    begun = []

    class Looping(ApolloClient):
        def _listener(self):
            begun.append(self.stopped)
            if len(begun) == 1:
                raise failure(CAUSE)
            super()._listener()

    configuration.save({"a": "1"})
    client = Looping("app", timeout=1)
    client.start()
    wait_until(lambda: len(begun) == 2)
    client.stop()
    wait_until(lambda: client.stopped)

    assert 1 == caplog.text.count(CAUSE)
