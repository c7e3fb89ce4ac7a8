"""All groups of one component: reading, caching, refreshing, and the engine's failures."""

from __future__ import annotations

import time
from typing import Any

from capa_core.blocks.configuration._group import Group
from capa_core.blocks.configuration._notifier import Notifier
from capa_core.blocks.configuration._snapshot_cache import SnapshotCache
from capa_core.blocks.configuration._watcher import Watcher
from capa_core.blocks.configuration.driver import ConfigurationDriver, Scope, Snapshot
from capa_core.call import Guard, telemetry
from capa_core.errors import CapaError, UnavailableError
from capa_core.reach import takes_connections

DOWN_S = 5.0
"""How long a component that starts takes an engine that did not answer as down, for values that are kept."""

REACH_S = 0.1
"""How long a start that has values kept waits for an engine to take a connection."""


class _LostError(UnavailableError):
    """The engine answers, and has lost its data."""


class Groups:
    """The groups that a component follows. Safe for many threads.

    Args:
        cache: Where last known good values are stored; `None` stores none.
        poll_s: Seconds between two polls of an engine that cannot watch, and before the first retry.
    """

    def __init__(
        self, driver: ConfigurationDriver[Any], guard: Guard, *, cache: SnapshotCache | None, poll_s: float
    ) -> None:
        self._driver = driver
        self._guard = guard
        self._cache = cache
        self._poll_s = poll_s
        self._down_until = 0.0
        self._cached_versions: dict[Scope, str] = {}
        self._groups: dict[Scope, Group] = {}
        self._notifier = Notifier(guard.name)
        self._watcher = Watcher(
            driver, self._groups, name=guard.name, refresh=self._refresh, fail=self._fail, poll_s=poll_s
        )

    def open(self, scope: Scope) -> Group:
        """Return the group that follows *scope*, reading it from the engine the first time."""
        group = self._groups.get(scope) or self._groups.setdefault(scope, Group(scope))
        if not group.loaded:
            with group.lock:
                if not group.loaded:
                    self._load(group)
            self._watcher.wake()
        return group

    def read(self, scope: Scope) -> Snapshot:
        """Return the present snapshot, or the last one while the engine does not answer."""
        try:
            snapshot = self._guard.safe("get", self._got, scope)
        except CapaError as error:
            return self._last_known(scope, error)
        group = self._groups.get(scope)
        if group is None or not group.loaded:
            self._remember(scope, snapshot)
        elif group.seen != snapshot.version or group.failures:
            self._refresh(group)
        return snapshot

    def is_stale(self, scope: Scope) -> bool:
        """Return whether this process follows *scope* and goes on with earlier values."""
        group = self._groups.get(scope)
        return group is not None and group.loaded and group.view.stale

    def refresh(self, scope: Scope) -> None:
        """Read *scope* again if it is followed, so that views show at once the writes of their own component."""
        group = self._groups.get(scope)
        if group is not None and group.loaded:
            self._refresh(group)

    def stop(self, timeout_s: float) -> None:
        """End both threads, delivering the queued events. Views go on serving their last snapshots."""
        self._watcher.stop(timeout_s)
        self._notifier.stop(timeout_s)

    def forget(self) -> None:
        """Start again in a forked child, whose driver has dropped its state already."""
        for group in self._groups.values():
            group.forget()
        self._notifier.forget()
        self._watcher.forget()

    def _load(self, group: Group) -> None:
        kept = self._kept(group.scope)
        try:
            snapshot = self._first(group.scope, has_kept=kept is not None)
        except CapaError as error:
            group.serve(self._instead(group.scope, kept, error))
            group.fail(self._poll_s, reachable=False, lost=isinstance(error, _LostError))
        else:
            group.serve(snapshot)
            self._remember(group.scope, snapshot)

    def _first(self, scope: Scope, *, has_kept: bool) -> Snapshot:
        """Read a scope for the first time; a start that has values kept does not wait for an engine that is down."""
        if not has_kept:
            return self._guard.safe("get", self._got, scope)
        if time.monotonic() < self._down_until:
            raise UnavailableError("the engine did not answer a moment ago")
        try:
            self._check_up()
            return self._guard.once("get", self._got, scope)
        except CapaError as error:
            if error.retryable:
                self._down_until = time.monotonic() + DOWN_S
            raise

    def _got(self, scope: Scope) -> Snapshot:
        """Read a scope; values that the engine has lost are as values of an engine that does not answer."""
        snapshot = self._driver.get(scope)
        last = None if snapshot.version else self._last(scope)
        if last is not None and last.version and self._driver.has_lost(last.version):
            raise _LostError(
                f"{self._driver.address()} has lost group {scope}: the place where it was is gone, or was made anew."
                " Restore the data, or save the group again"
            )
        return snapshot

    def _check_up(self) -> None:
        servers = self._driver.servers()
        if servers and not takes_connections(servers, REACH_S):
            raise UnavailableError(f"{self._driver.address()} takes no connection")

    def _last_known(self, scope: Scope, error: CapaError) -> Snapshot:
        return self._instead(scope, self._last(scope), error)

    def _last(self, scope: Scope) -> Snapshot | None:
        """Return what was read last, by this process or one before."""
        group = self._groups.get(scope)
        return group.view.snapshot if group is not None and group.loaded else self._kept(scope)

    def _kept(self, scope: Scope) -> Snapshot | None:
        """Return what is kept on this machine, by the component or by another client of the engine."""
        if self._cache is None:
            return None
        return self._cache.load(scope) or self._driver.last_known(scope)

    def _instead(self, scope: Scope, last: Snapshot | None, error: CapaError) -> Snapshot:
        if last is None or not error.retryable:
            raise error
        self._log().warning(
            "the engine does not answer; serving the values read last", scope=str(scope), error=str(error)
        )
        return last

    def _refresh(self, group: Group) -> None:
        # The lock is held from the read to the change of the view: a slow thread must not overwrite newer values.
        with group.lock:
            try:
                snapshot = self._guard.once("get", self._got, group.scope)
            except Exception as error:  # noqa: BLE001 - the watch continues after any error of an engine
                self._fail(group, error)
            else:
                self._serve(group, snapshot)

    def _serve(self, group: Group, snapshot: Snapshot) -> None:
        event = group.serve(snapshot)
        if group.recover():
            self._log().info("configuration is up to date again", scope=str(group.scope))
        group.drop_closed()
        if event is not None:
            self._run_followers(group)
            self._notifier.notify(event, group)
        self._remember(group.scope, snapshot)

    def _run_followers(self, group: Group) -> None:
        for following in group.followers:
            try:
                following.function(group.view)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - one keeps its old value, the others go on
                # A value that does not fit is not an error of the code: a traceback would only hide the message.
                log = self._log().error if isinstance(error, CapaError) else self._log().exception
                log("a follower failed and keeps its old value", scope=str(group.scope), error=str(error))

    def _fail(self, group: Group, error: Exception) -> None:
        named = self._guard.named(error)
        reachable = named is not None and not named.retryable
        if group.fail(self._poll_s, reachable=reachable, lost=isinstance(error, _LostError)):
            self._log().warning(
                "configuration cannot be refreshed; the values read before stay",
                scope=str(group.scope),
                error=str(error),
            )

    def _remember(self, scope: Scope, snapshot: Snapshot) -> None:
        if self._cache is None or self._cached_versions.get(scope) == snapshot.version:
            return
        # Also if it fails: the next try, and warning, is for the next version.
        self._cached_versions[scope] = snapshot.version
        try:
            self._cache.save(scope, snapshot)
        except OSError as error:
            self._log().warning(
                "the last known good values cannot be stored", scope=str(scope), error=str(error)
            )

    def _log(self) -> Any:
        return telemetry.logger("configuration", self._guard.name)
