"""AWS for tests: moto, an emulator, and ElasticMQ, an independent implementation of SQS."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from ._process import ServerProcess, answers, free_port
from ._program import OwnServer

_START_TIMEOUT_S = 60.0
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

PROGRAM = OwnServer("moto", "an emulator of AWS", __file__, usual=False)


class MotoServer(ServerProcess):
    """moto's own application, behind a server that keeps connections: its development server makes one a request."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        command = [sys.executable, str(Path(__file__).with_name("_moto.py")), str(self.port)]
        super().__init__(command, folder, partial(answers, self.port), start_timeout_s=_START_TIMEOUT_S)

    @property
    def url(self) -> str:
        """Its address, for `endpoint_url`."""
        return f"http://127.0.0.1:{self.port}"

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Self]:
        """Run one in a temporary folder, for the length of a `with` block."""
        with tempfile.TemporaryDirectory(prefix="moto-") as folder, cls(Path(folder)).serving() as server:
            yield server


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """Give the address of an emulator that the tests of this worker share: take names that no other test uses.

    Each worker has its own: one for all of them lost messages and was slow.
    """
    with MotoServer.started() as server:
        yield server.url


@pytest.fixture
def aws_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let boto3's own chain find the credentials that every server here takes, in this process and its children."""
    for name, value in _ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def start_moto() -> Iterator[Callable[[], MotoServer]]:
    """Give a function that starts an emulator for this test alone."""
    with ExitStack() as servers:
        yield lambda: servers.enter_context(MotoServer.started())
