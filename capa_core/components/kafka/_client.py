"""Clients of librdkafka: their options, the errors of their connections, and their end."""

from __future__ import annotations

import ctypes
import importlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from capa_core.components.kafka._errors import RefusedError, error_in, refusal
from capa_core.components.kafka._settings import KafkaSettings
from capa_core.errors import ClosedError, SettingsError, UnavailableError

T = TypeVar("T")
ClientT = TypeVar("ClientT", AdminClient, Producer)

BESIDE_RECORD = 28_588
"""By so much is the brokers' default for a batch above that of `max_record_bytes`."""
_LOOK_S = 0.02
_HOPELESS = frozenset({KafkaError._AUTHENTICATION, KafkaError.UNSUPPORTED_SASL_MECHANISM})


class Trouble:
    """The last error of the connections of one client to *servers*. Its calls only time out then."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self.error: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        """Take note of *error*; called by the client."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self.error = error

    def check(self) -> None:
        """Raise an error that no waiting will mend.

        Raises:
            RefusedError: The brokers refuse the credentials.
        """
        if self.error is not None and self.error.code() in _HOPELESS:
            refused: RefusedError = refusal(self.error)
            raise refused

    def refusal(self, error: KafkaError, subject: str = "") -> RefusedError:
        """Return *error* with its reason and the next step.

        Args:
            subject: The topic or group that it is about.
        """
        return refusal(error, subject, because=self.error, servers=self._servers)


def options(settings: KafkaSettings, trouble: Trouble) -> dict[str, Any]:
    """Return the options of every client."""
    tls = settings.url.startswith("kafkas")
    secured = bool(settings.user or settings.token)
    found: dict[str, Any] = {
        "bootstrap.servers": settings.servers,
        "client.id": "capa",
        "log_level": 0,  # what it logs is in the errors here
        "error_cb": trouble,
        "socket.timeout.ms": _ms(settings.timeout_s),
        "socket.connection.setup.timeout.ms": _ms(max(1.0, settings.timeout_s)),
        "reconnect.backoff.max.ms": 1000,  # a broker that is back must not be waited for longer
        "message.max.bytes": settings.max_record_bytes + BESIDE_RECORD,
        "security.protocol": ("SASL_" if secured else "") + ("SSL" if tls else "PLAINTEXT"),
    }
    if secured:
        found |= _credentials(settings)
    return found | {name: value for name, value in _tls(settings).items() if value}


def open_client(kind: Callable[..., T], settings: dict[str, Any]) -> T:
    """Return a client of librdkafka.

    Raises:
        SettingsError: librdkafka refuses an option, such as a file that is not there.
    """
    try:
        return kind(settings)
    except KafkaException as error:
        raise SettingsError(
            f"Kafka: {error_in(error).str()}. Correct the settings of the component."
        ) from error


class Lazy(Generic[ClientT]):
    """A client that is opened when it is first needed."""

    def __init__(self, kind: type[ClientT], settings: KafkaSettings, **more: Any) -> None:
        self._kind = kind
        self._settings = settings
        self._more = more
        self._opening = threading.Lock()
        self._client: ClientT | None = None
        self._closed = False
        self.trouble = Trouble(settings.servers)

    def get(self) -> ClientT:
        """Return the client."""
        return self._client or self._opened()

    def _opened(self) -> ClientT:
        with self._opening:
            if self._closed:
                raise ClosedError("the component is closed")
            if self._client is None:
                self._client = open_client(self._kind, options(self._settings, self.trouble) | self._more)
            return self._client

    def replace(self, client: ClientT) -> None:
        """Drop *client*, which can do nothing any more; the next call opens another."""
        with self._opening:
            if self._client is client:
                self._client = None

    def close(self) -> None:
        """Drop the client for good."""
        with self._opening:
            self._closed = True
            self._client = None

    def forget(self) -> None:
        """Leave the client to the parent, in a forked child."""
        if self._client is not None:
            leak(self._client)
        self._opening = threading.Lock()
        self._client = None


class Requests:
    """The requests of an AdminClient, each within the time of a call."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._timeout_s = settings.timeout_s
        self.client: Lazy[AdminClient] = Lazy(AdminClient, settings)

    def futures(self, request: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call a method of the client, such as `AdminClient.create_topics`, that returns one or several futures."""
        self.client.trouble.error = None
        return request(self.client.get(), *args, request_timeout=self._timeout_s, **kwargs)

    def wait(self, future: Future[T], subject: str = "") -> T:
        """Return the result of *future*.

        Raises:
            RefusedError: The brokers refuse the request, or do not answer.
        """
        client, trouble = self.client.get(), self.client.trouble
        end = time.monotonic() + self._timeout_s
        while True:
            client.poll(0)
            try:
                found = future.result(_LOOK_S)
            except TimeoutError:
                trouble.check()
                if time.monotonic() > end:
                    raise self._failed(client, _NO_ANSWER, subject) from None
            except KafkaException as error:
                client.poll(0)
                raise self._failed(client, error_in(error), subject) from error
            else:
                trouble.error = None
                return found

    def _failed(self, client: AdminClient, error: KafkaError, subject: str) -> RefusedError:
        refused = self.client.trouble.refusal(error, subject)
        if refused.kind is UnavailableError:
            # For minutes it would ask those who led a partition, or a group, before a broker went away and came back.
            self.client.replace(client)
        return refused


_NO_ANSWER = KafkaError(KafkaError._TIMED_OUT, "no answer in time")


def leak(client: AdminClient | Producer | Consumer) -> None:
    """Keep *client*, which a fork copied, from being closed here: it would wait for threads of the parent."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))


def _ms(seconds: float) -> int:
    return max(10, int(seconds * 1000))


def _credentials(settings: KafkaSettings) -> dict[str, Any]:
    if settings.token:
        return {"sasl.mechanism": settings.mechanism, "oauth_cb": _tokens(settings.token)}
    return {
        "sasl.mechanism": settings.mechanism,
        "sasl.username": settings.user,
        "sasl.password": settings.password.reveal() if settings.password else "",
    }


def _tokens(place: str) -> Callable[[str], tuple[str, float]]:
    module, _, name = place.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"Kafka: `token` names {place!r}, which is not there: {error}. Correct it."
        ) from error

    def token(_config: str) -> tuple[str, float]:
        found: tuple[str, float] = function()
        return found

    return token


def _tls(settings: KafkaSettings) -> dict[str, Any]:
    return {
        "ssl.ca.location": str(settings.ca_file or ""),
        "ssl.certificate.location": str(settings.certificate_file or ""),
        "ssl.key.location": str(settings.key_file or ""),
        "ssl.key.password": settings.key_password.reveal() if settings.key_password else "",
    }
