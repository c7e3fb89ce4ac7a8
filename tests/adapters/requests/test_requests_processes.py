"""Sessions and the functions serve many threads, and a child after a fork."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import capa_requests

FORK = multiprocessing.get_context("fork")


def _body(session: Any, url: str, number: int) -> str:
    return session.get(f"{url}/echo?number={number}").json()["path"]


@pytest.mark.parametrize("caller", [capa_requests, capa_requests.Session()], ids=["functions", "session"])
def test_threads_get_their_own_answers(caller: Any, server: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda number: _body(caller, server.url, number), range(200)))

    assert [f"/echo?number={number}" for number in range(200)] == paths


def _in_child(session: Any, url: str, results: Any) -> None:
    results.put([_body(session, url, number) for number in range(50)])


@pytest.mark.parametrize("caller", [capa_requests, capa_requests.Session()], ids=["functions", "session"])
def test_a_child_and_its_parent_do_not_mix_their_answers(caller: Any, server: Any) -> None:
    _body(caller, server.url, 0)
    results = FORK.Queue()
    child = FORK.Process(target=_in_child, args=(caller, server.url, results))
    child.start()

    mine = [_body(caller, server.url, number) for number in range(50)]
    its = results.get(timeout=20)
    child.join(20)

    assert [f"/echo?number={number}" for number in range(50)] == mine == its


def test_a_child_leaves_the_connections_of_its_parent_open(server: Any) -> None:
    session = capa_requests.Session()
    _body(session, server.url, 0)
    child = FORK.Process(target=session.close)
    child.start()
    child.join(20)
    server.seen.clear()

    _body(session, server.url, 1)
    _body(session, server.url, 2)

    assert len({port for _, _, port in server.seen}) == 1
