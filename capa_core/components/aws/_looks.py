"""Looks for changes at a steady pace, for services that tell nobody of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from capa_core.blocks.configuration.driver import Scope
from capa_core.components.aws._errors import AwsError
from capa_core.errors import CapaError, ExhaustedError

_MOST = 16
"""The pause is at most this many times the usual one."""


class Looks:
    """The versions of scopes as they were last seen, compared every so often by whoever waits in `wait`.

    Args:
        version: Asks for the version of a scope, and calls `note` with it.
        pause_s: Returns the seconds until the next look; they double while the service says that it is asked too often.
    """

    def __init__(self, version: Callable[[Scope], str], pause_s: Callable[[], float]) -> None:
        self._version = version
        self._pause_s = pause_s
        self._seen: dict[Scope, str] = {}
        self._stretch = 1
        self._next_at = 0.0
        self._woken = threading.Event()
        self._closed = threading.Event()

    def note(self, scope: Scope, version: str) -> None:
        """Take *version* as the present one."""
        self._seen[scope] = version

    def wait(self, known: Mapping[Scope, str], timeout_s: float) -> dict[Scope, str]:
        """Return the versions that are not *known*; see `ConfigurationDriver.watch`."""
        end = time.monotonic() + timeout_s
        while not self._closed.is_set():
            try:
                self._look([scope for scope in known if self._is_due(scope)])
            except (AwsError, CapaError):
                if self._closed.is_set():  # it took the connection away from under the look
                    return {}
                raise
            found = {
                scope: self._seen[scope]
                for scope in known
                if scope in self._seen and self._seen[scope] != known[scope]
            }
            if found:
                return found
            left_s = min(end, self._next_at) - time.monotonic()
            if self._woken.wait(max(0.0, left_s)) or time.monotonic() >= end:
                break
        self._woken.clear()
        return {}

    def wake(self) -> None:
        """End the `wait` that is under way, or the next one."""
        self._woken.set()

    def close(self) -> None:
        """End the `wait` that is under way, and all later ones."""
        self._closed.set()
        self._woken.set()

    def _is_due(self, scope: Scope) -> bool:
        return scope not in self._seen or time.monotonic() >= self._next_at

    def _look(self, scopes: list[Scope]) -> None:
        if not scopes:
            return
        try:
            for scope in scopes:
                self.note(scope, self._version(scope))
        except AwsError as error:
            if error.kind is not ExhaustedError:
                raise
            self._stretch = min(2 * self._stretch, _MOST)
        else:
            self._stretch = 1
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + self._stretch * self._pause_s()
