"""AWS AppConfig for tests: a data service of our own, in threads of the test's process."""

import threading
from collections.abc import Iterator

import pytest

from ._appconfig_http import THREADS, AppConfig, HttpServer
from ._process import free_port
from ._program import OwnServer

PROGRAM = OwnServer("appconfig", "of our own, written from AWS's documentation", __file__, usual=False)


class AppConfigServer(AppConfig):
    """A data service that listens on loopback."""

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        self._server = HttpServer(self, self.port)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name=THREADS, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Its address, for `endpoint_url`."""
        return f"http://127.0.0.1:{self.port}"

    def release(
        self, profile: str, content: str, *, app: str = "app", environment: str = "test", share: float = 1.0
    ) -> None:
        """Deploy *content* as JSON, or as text if the profile is `.txt` or `.properties`."""
        is_text = profile.endswith((".txt", ".properties"))
        media_type = "text/plain" if is_text else "application/json"
        self.deploy((app, environment, profile), content.encode(), media_type, share=share)

    def stop(self) -> None:
        """Accept no more connections."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def appconfig() -> Iterator[AppConfigServer]:
    """Start a data service with nothing deployed."""
    server = AppConfigServer()
    yield server
    server.stop()
