"""A GET and its JSON: on a kept-alive connection to a server in another process, and from a service in this one."""

import asyncio
import itertools
import json
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import requests

import capa_requests
from benchmarks.measure import Row, compare, ratio_at_most
from capa_core import Runtime, Service, use_runtime

BODY = {"id": 7, "name": "a thing", "tags": ["one", "two"], "price": 12.5}
_ENCODED = json.dumps(BODY).encode()
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nServer: bench\r\nContent-Type: application/json\r\n"
    b"Cache-Control: no-store\r\nX-Request-Id: 0123456789abcdef\r\nContent-Length: %d\r\n\r\n%b"
) % (len(_ENCODED), _ENCODED)


def run() -> list[Row]:
    """Compare a session, the functions, and a service in this process with the original over the network."""
    note = "a new path each time"
    with _server() as url, requests.Session() as theirs, capa_requests.Session() as ours:
        session = compare(_getting(theirs.get, url), _getting(ours.get, url), rounds=15)
        function = compare(_getting(requests.get, url), _getting(capa_requests.get, url), rounds=15)
        with Runtime.in_memory() as runtime, use_runtime(runtime):
            runtime.host(_service(), name="things")
            in_process = compare(_getting(theirs.get, url), _asking(ours.get), rounds=15)
    return [
        Row("GET + .json(), kept connection", "requests.Session", session, ratio_at_most(0.40), note=note),
        Row("requests.get + .json()", "requests.get", function, ratio_at_most(0.35), note=note),
        Row(
            "the same from a service in-process",
            "requests.Session",
            in_process,
            ratio_at_most(0.10),
            note=note,
        ),
    ]


def _getting(get: Callable[..., Any], url: str) -> Callable[[], object]:
    numbers = itertools.count()
    return lambda: get(f"{url}/things/{next(numbers)}?full=1").json()


def _asking(get: Callable[..., Any]) -> Callable[[], object]:
    numbers = itertools.count()
    return lambda: get(f"http://things/thing?number={next(numbers)}").json()


def _service() -> Service:
    service = Service("things")
    service.register("thing", lambda _call: BODY)
    return service


@contextmanager
def _server() -> Iterator[str]:
    ours, its = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(its,), daemon=True)
    process.start()
    yield f"http://127.0.0.1:{ours.recv()}"
    process.terminate()
    process.join()


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            self._received = self._received.partition(b"\r\n\r\n")[2]
            self._transport.write(_ANSWER)


def _serve(parent: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0)
        parent.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())
