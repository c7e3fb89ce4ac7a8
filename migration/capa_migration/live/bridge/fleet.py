"""The bridges that run in one process: each has a thread; they begin and end as capa.toml says, also meanwhile."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from capa_core import Runtime
from capa_core.errors import CapaError
from capa_core.supervision import SupervisedThread
from capa_migration.errors import OptionsError
from capa_migration.live.bridge.mover import Mover, Route
from capa_migration.live.bridge.tables import Plan, plans

if TYPE_CHECKING:
    from capa_migration.live.bridge.ends import Components


class _Running(NamedTuple):
    mover: Mover
    thread: SupervisedThread


def route_of(components: Components, plan: Plan) -> Route:
    """Return the route of *plan*; nothing is connected to.

    Raises:
        OptionsError: A component is not there, or both ends are one topic.
        SettingsError: A table of a component is wrong.
    """
    marks = components.mark(plan.source), components.mark(plan.target)
    if marks[0] == marks[1]:
        raise OptionsError(
            f"{plan.source} and {plan.target} are the same topic: {components.pubsub(plan.source.name).place}."
            " Give another component, profile or topic"
        )
    return Route(
        plan=plan,
        source=components.pubsub(plan.source.name),
        target=components.pubsub(plan.target.name),
        state=components.state(plan.state) if plan.state else None,
        source_mark=marks[0],
        target_mark=marks[1],
    )


class Fleet:
    """Movers by the name of their bridge. Used by one thread.

    Args:
        once: Each ends when it has moved what could be received.
    """

    def __init__(self, components: Components, *, once: bool) -> None:
        self._components = components
        self._once = once
        self._running: dict[str, _Running] = {}

    def arrange(self, wanted: Mapping[str, Plan]) -> None:
        """Run those of *wanted* that are on, and no others; one whose settings changed begins anew.

        Raises:
            OptionsError: As `route_of`. Those that ran before still run.
            SettingsError: As above.
        """
        routes = {name: route_of(self._components, plan) for name, plan in wanted.items() if plan.on}
        ended = [
            name
            for name, one in self._running.items()
            if name not in routes or one.mover.route.plan != routes[name].plan
        ]
        for name in ended:
            self._running[name].mover.stop()
        for name in ended:
            self._running.pop(name).thread.join()
        for name in routes.keys() - self._running.keys():
            self._running[name] = self._started(Mover(routes[name], once=self._once))

    def movers(self) -> dict[str, Mover]:
        """Return the movers by name, in the order of the names."""
        return {name: self._running[name].mover for name in sorted(self._running)}

    def all_ended(self) -> bool:
        """Return whether no mover works any more."""
        return not any(one.thread.is_alive() for one in self._running.values())

    def longest_wait_s(self) -> float:
        """Return for how long the mover that waits longest has moved nothing."""
        waiting = [one.mover.waits_since for one in self._running.values() if one.mover.waits_for]
        return time.monotonic() - min(waiting) if waiting else 0.0

    def stop(self) -> None:
        """Let all movers end what is in flight, and return when they have."""
        for one in self._running.values():
            one.mover.stop()
        for one in self._running.values():
            one.thread.join()

    def _started(self, mover: Mover) -> _Running:
        thread = SupervisedThread(
            f"capa-bridge-{mover.route.plan.name}", mover.run, stopping=lambda: mover.stopped
        )
        thread.start()
        return _Running(mover, thread)


class PlansOfFile:
    """The bridges of capa.toml, read again when the file has changed."""

    def __init__(self, profile: str | None) -> None:
        self._profile = profile
        self._file: Path | None = None
        self._seen: object = None

    def read(self) -> dict[str, Plan]:
        """Return the bridges that the file names now.

        Raises:
            SettingsError: The file is wrong.
            OptionsError: It names none.
        """
        with Runtime(profile=self._profile) as runtime:
            self._file = runtime.loaded.file
            self._seen = self._state()
            return plans(runtime)

    def changed(self) -> bool:
        """Return whether the file is another one than when it was read."""
        now = self._state()
        # While an editor replaces the file, there is none.
        return now is not None and now != self._seen

    def read_again(self) -> dict[str, Plan] | CapaError | OptionsError:
        """Return the bridges that the file names now, or the reason why it cannot be read."""
        self._seen = self._state()
        try:
            return self.read()
        except (CapaError, OptionsError) as error:
            return error

    def _state(self) -> object:
        try:
            found = self._file.stat() if self._file else None
        except OSError:
            return None
        return found and (found.st_mtime_ns, found.st_size, found.st_ino)
