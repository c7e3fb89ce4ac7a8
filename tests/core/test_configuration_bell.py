"""The wait of a component for its held requests: other threads end it, once or for good."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from capa_core.blocks.configuration.bell import Bell
from capa_core.blocks.configuration.held_poll import HeldPoll
from capa_core.components.apollo._client import ConfigServices
from capa_core.components.apollo._polls import Polls
from capa_core.components.apollo._settings import ApolloConfigurationSettings
from capa_core.conformance._tolerance import PATIENCE_S


@pytest.fixture
def dropped():
    return []


@pytest.fixture
def bell(dropped):
    bell = Bell(lambda: dropped.append(threading.current_thread()), timeout_s=PATIENCE_S)
    yield bell
    bell.close()


@pytest.fixture
def thread():
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit


def wait(bell, sockets, timeout_s=PATIENCE_S):
    with bell.waiting():
        return bell.select(sockets, timeout_s)


def test_a_ring_ends_the_wait_that_is_under_way_or_the_next_one(bell, thread):
    waiting = thread(wait, bell, {})
    bell.ring()

    assert (True, []) == waiting.result(PATIENCE_S)
    bell.ring()
    bell.ring()
    assert (True, []) == wait(bell, {})
    assert (False, []) == wait(bell, {}, 0)


def test_a_socket_that_can_be_read_is_told(bell):
    near, far = socket.socketpair()
    with near, far:
        far.send(b"x")

        assert (False, ["near"]) == wait(bell, {near: "near"})


def test_the_waiting_thread_drops_what_is_held_if_the_closing_one_cannot(dropped, thread):
    bell = Bell(lambda: dropped.append(threading.current_thread()), timeout_s=0.01)
    entered, over = threading.Event(), threading.Event()

    def hold():
        with bell.waiting():
            entered.set()
            over.wait(PATIENCE_S)

    holding = thread(hold)
    entered.wait(PATIENCE_S)
    bell.close()
    assert [] == dropped
    over.set()
    holding.result(PATIENCE_S)

    assert dropped
    assert threading.current_thread() not in dropped


def test_a_wait_after_the_end_returns_and_a_ring_is_no_error(bell, dropped, thread):
    wait(bell, {}, 0)
    bell.close()
    bell.ring()

    assert [threading.current_thread()] == dropped
    with bell.waiting():
        assert bell.closed


def test_rings_of_many_threads_while_it_closes_are_no_errors():
    for _ in range(50):
        bell = Bell(list, timeout_s=PATIENCE_S)
        with ThreadPoolExecutor(3) as pool:
            calls = [pool.submit(one) for one in (bell.ring, bell.ring, bell.close, bell.ring)]

        assert [None] * 4 == [one.result() for one in calls]


def test_a_first_wait_that_begins_while_it_closes_does_not_last(bell):
    with bell.waiting():
        bell.closed = True  # as `close` has it before it rings, when no wait has made the bell yet

        assert (True, []) == bell.select({}, PATIENCE_S)


def of_held():
    poll = HeldPoll(lambda _: pytest.fail("it sends"), hold_s=60, timeout_s=1)
    return poll, lambda: poll.wait("anything", time.monotonic() + PATIENCE_S)


def of_apollo():
    settings = ApolloConfigurationSettings(url="http://127.0.0.1:1", app_id="a")
    polls = Polls(ConfigServices(settings), settings)
    return polls, lambda: polls.wait(PATIENCE_S)


@pytest.mark.parametrize("make", [of_held, of_apollo])
def test_a_poll_that_is_closed_waits_no_more(make, thread):
    poll, wait_for_news = make()
    poll.close()

    assert not thread(wait_for_news).result(PATIENCE_S / 3)
