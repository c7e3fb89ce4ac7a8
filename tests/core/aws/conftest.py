"""Components of AWS for a test: queues and topics that no other test has."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import boto3
import pytest

from capa_core.blocks.pubsub import PubSub
from capa_core.components.aws.sns import SnsPubSub
from capa_core.components.aws.sqs import SqsPubSub

KINDS = {"sqs": SqsPubSub, "sns": SnsPubSub}


@pytest.fixture
def prefix() -> str:
    return f"{uuid4().hex[:12]}-"


@pytest.fixture
def opened(moto_url: str, aws_credentials: None, prefix: str) -> Iterator[Callable[..., PubSub]]:
    """Give a function that opens a component on the emulator; its keywords are settings."""
    with ExitStack() as open_ones:

        def open_one(driver: str = "sqs", **settings: object) -> PubSub:
            own = {
                "endpoint_url": moto_url,
                "prefix": prefix,
                "settle_s": 0.05,
                "poll_s": 1,
                "abandoned_s": 3,
            }
            kind = KINDS[driver]
            pubsub = PubSub(kind(kind.settings_type(**{**own, **settings})), name="orders")
            open_ones.callback(pubsub.close)
            return pubsub

        yield open_one


@pytest.fixture
def aws(moto_url: str, aws_credentials: None) -> Callable[[str], object]:
    """Give a function that returns boto3's client of a service on the emulator."""
    return lambda service: boto3.client(service, endpoint_url=moto_url)


@pytest.fixture
def bucket(aws: Callable[[str], object], prefix: str) -> str:
    aws("s3").create_bucket(Bucket=prefix.strip("-"))
    return prefix.strip("-")


class Answering(BaseHTTPRequestHandler):
    """Answers every request with `answer`: status, type and body."""

    answer: tuple[int, str, bytes] = (500, "application/x-amz-json-1.0", b"{}")

    def do_GET(self) -> None:
        self._send()

    def do_POST(self) -> None:
        self._send()

    def do_PUT(self) -> None:
        self._send()

    def do_HEAD(self) -> None:
        self._send()

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _send(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        status, kind, body = self.answer
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture
def refusing() -> Iterator[tuple[str, type[Answering]]]:
    """Give an address where every call is answered with `answer` of the handler: status, type and body."""
    handler = type("OwnAnswering", (Answering,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    thread.join()
    server.server_close()
