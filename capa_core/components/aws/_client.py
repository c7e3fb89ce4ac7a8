"""Clients of AWS's services: one session for each component, which all its threads share."""

from __future__ import annotations

import threading
import time
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

from capa_core.components.aws._answers import ask, drop, fault
from capa_core.components.aws._deadline import Limit
from capa_core.components.aws._errors import AwsError, on_call
from capa_core.components.aws._settings import AwsSettings
from capa_core.errors import ClosedError, UnavailableError

if TYPE_CHECKING:
    import boto3


class Clients:
    """The clients of one component. A client is safe for many threads; making one is not, and is done once."""

    def __init__(self, settings: AwsSettings) -> None:
        self._settings = settings
        self._making = threading.Lock()
        self._made: dict[tuple[str, float | None], Any] = {}
        self._session: boto3.Session | None = None
        self._answered: tuple[str, float] | None = None
        self._closed = False

    def client(self, service: str, waits_s: float = 0.0) -> Any:
        """Return the component's own client of *service*, whose answers may take *waits_s* longer than others."""
        return self._have((service, waits_s), is_checked=False)  # its requests are the drivers'

    def native(self, service: str) -> Any:
        """Return a client of *service* for the application."""
        return self._have((service, None), is_checked=True)

    def call(
        self, service: str, action: str, place: str = "", *, waits_s: float = 0.0, **request: Any
    ) -> Any:
        """Return the answer to *action*, in AWS's own spelling, such as `SendMessage`.

        Args:
            place: The queue, topic or bucket, for the error.

        Raises:
            AwsError: AWS refused it, or did not answer.
            ClosedError: The component was closed.
        """
        try:
            client = self.client(service, waits_s)
            with self._limit(service, waits_s):
                answer = ask(getattr(client, _method(action)), request)
        except _boto().NATIVE as error:
            raise on_call(error, f"{service}:{action}", self.place(service, place)) from error
        if wrong := fault(f"{service}:{action}", answer):
            drop(answer)
            where = self.place(service, place)
            text = f"{where} answers {service}:{action} {wrong}: is a proxy between?"
            raise AwsError(UnavailableError, text)
        if date := answer["ResponseMetadata"]["HTTPHeaders"].get("date"):
            self._answered = date, time.monotonic()
        return answer

    def content(self, body: Any, service: str, action: str, place: str) -> bytes:
        """Return all of the *body* of an answer to *action*; raises as `call` does."""
        try:
            return bytes(body.read())
        except _boto().NATIVE as error:
            raise on_call(error, f"{service}:{action}", self.place(service, place)) from error

    def limit(self, service: str) -> Limit:
        """Return a block in which all requests of this thread together take no longer than one may.

        Contents that are read bit by bit are read in it, too. S3 has that time for each 64 KiB.
        """
        self.client(service)  # which takes its time the first time
        return self._limit(service, 0.0)

    def place(self, service: str, name: str = "") -> str:
        """Return *name* of *service* with its region, for a person."""
        region = self._settings.region or (self._session and self._session.region_name) or "no region"
        where = self._settings.endpoint_url or region
        shown = name.rpartition("/")[2] if "://" in name else name
        return f"{shown or service.upper()} in {where}"

    def now(self) -> float:
        """Return seconds since the epoch by AWS's own clock, to the second; by this machine's before any answer."""
        if self._answered is None:
            return time.time()
        date, at = self._answered
        return parsedate_to_datetime(date).timestamp() + time.monotonic() - at

    def session(self) -> boto3.Session:
        """Return the session, with the region and credentials of the settings."""
        with self._making:
            return self._open_session()

    def close(self) -> None:
        """Close the connections, for good."""
        with self._making:
            self._closed = True
            made, self._made = list(self._made.values()), {}
        for client in made:
            client.close()

    def _limit(self, service: str, waits_s: float) -> Limit:
        return Limit(self._settings.timeout_s + waits_s, renews=service == "s3")

    def _have(self, key: tuple[str, float | None], *, is_checked: bool) -> Any:
        if made := self._made.get(key):
            return made
        with self._making:
            if self._closed:
                raise ClosedError("the component is closed")
            if key not in self._made:
                self._made[key] = self._make(*key, is_checked=is_checked)
            return self._made[key]

    def _make(self, service: str, waits_s: float | None, *, is_checked: bool) -> Any:
        return _boto().client(self._open_session(), self._settings, service, waits_s, is_checked=is_checked)

    def _open_session(self) -> boto3.Session:
        if self._session is None:
            self._session = _boto().session(self._settings)
        return self._session


def _boto() -> ModuleType:
    """Return the part that needs boto3, whose import takes longer than last known values may take."""
    from capa_core.components.aws import _boto

    return _boto


def _method(action: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in action).lstrip("_")
