"""Detection of changes, by one thread for all groups of a configuration component."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from capa_core.blocks.configuration._group import Group
from capa_core.blocks.configuration.driver import ConfigurationDriver, ConfigurationFeature, Scope
from capa_core.call import telemetry
from capa_core.supervision import SupervisedThread

WATCH_S = 5.0
"""How long one `watch` of a driver may last: a new scope waits no longer, even if the driver cannot be woken."""


class Watcher:
    """Polls the driver for changed scopes, and refreshes them.

    Args:
        groups: The watched groups; other threads add to them while the thread runs.
        refresh: Reads one group from the engine; must not raise for an engine that fails.
        fail: Marks one group as failed, with an error of the engine.
        poll_s: Seconds between two polls where the driver cannot watch.
    """

    def __init__(
        self,
        driver: ConfigurationDriver[Any],
        groups: Mapping[Scope, Group],
        *,
        name: str,
        refresh: Callable[[Group], None],
        fail: Callable[[Group, Exception], None],
        poll_s: float,
    ) -> None:
        self._driver = driver
        self._groups = groups
        self._name = name
        self._refresh = refresh
        self._fail = fail
        self._poll_s = poll_s
        self._watches = driver.features[ConfigurationFeature.WATCH].by_driver
        self._watch_fails = False
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._woken = threading.Event()

    def wake(self) -> None:
        """Check for changes at once, in a thread that is started if it does not run."""
        with self._lock:
            if self._thread is None and not self._stopped:
                self._start()
        self._woken.set()
        if self._watches:
            self._driver.wake()

    def stop(self, timeout_s: float) -> None:
        """End the thread, waiting up to *timeout_s* for the engine. A second call does nothing."""
        with self._lock:
            self._stopped = True
            thread = self._thread
        self._woken.set()
        if self._watches:
            self._driver.wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def forget(self) -> None:
        """Start again in a forked child, where the thread of the parent does not exist.

        It starts at once if the parent's ran: reads of a view pass through no code that could start it.
        """
        ran, self._thread = self._thread is not None, None
        self._lock, self._woken = threading.Lock(), threading.Event()
        if ran:
            self.wake()

    def _start(self) -> None:
        thread = SupervisedThread(
            f"capa-configuration-{self._name}",
            self._run,
            log=partial(telemetry.logger, "configuration", self._name),
            stopping=lambda: self._stopped,
        )
        thread.start()
        self._thread = thread

    def _run(self) -> None:
        while not self._stopped:
            self._woken.clear()
            self._retry_failed()
            for scope, version in self._changed().items():
                self._follow(self._groups[scope], version)

    def _follow(self, group: Group, version: str) -> None:
        before, group.seen = group.seen, version
        try:
            self._refresh(group)
        except BaseException:
            group.seen = before  # this thread starts again, and has to find the change again
            raise

    def _retry_failed(self) -> None:
        now = time.monotonic()
        for group in self._loaded():
            if group.failures and group.retry_at <= now:
                self._refresh(group)

    def _changed(self) -> Mapping[Scope, str]:
        known = {group.scope: group.seen for group in self._loaded()}
        if not self._watches or not known:
            return self._polled(known)
        try:
            found = self._driver.watch(known, self._pause_s(WATCH_S)) if not self._stopped else {}
        except Exception as error:  # noqa: BLE001 - after any error the thread continues and the views are stale
            return self._unwatched(known, error)
        self._watch_fails = False
        return found

    def _unwatched(self, known: Mapping[Scope, str], error: Exception) -> Mapping[Scope, str]:
        """Mark all groups as failed; poll them while the engine answers other calls and goes on refusing to watch."""
        if self._watch_fails:
            return self._polled(known)
        self._watch_fails = True
        for group in self._loaded():
            self._fail(group, error)
        self._woken.wait(self._pause_s(WATCH_S))
        return {}

    def _polled(self, known: Mapping[Scope, str]) -> Mapping[Scope, str]:
        if self._woken.wait(self._pause_s(self._poll_s)):
            return {}
        found = {}
        now = time.monotonic()
        for scope, version in known.items():
            group = self._groups[scope]
            if not group.reachable and group.failures and now < group.retry_at:
                continue  # an engine that is down is polled less and less often
            try:
                present = self._driver.version(scope)
            except Exception as error:  # noqa: BLE001 - as above
                self._fail(group, error)
                continue
            if present != version:
                found[scope] = present
        return found

    def _pause_s(self, most: float) -> float:
        now = time.monotonic()
        waits = [group.retry_at - now for group in self._loaded() if group.failures]
        return max(0.01, min([most, *waits]))

    def _loaded(self) -> list[Group]:
        return [group for group in list(self._groups.values()) if group.loaded]
