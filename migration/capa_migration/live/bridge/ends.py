"""The two ends of a bridge: a topic of a component of a profile, and its place for the loop mark."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from capa_core import Runtime
from capa_core.blocks.pubsub.driver import LONGEST_NAME
from capa_core.call.checks import check_printable
from capa_migration.errors import OptionsError

if TYPE_CHECKING:
    from capa_core import PubSub, State

_SPACES = ("prefix", "schema_name")
"""The settings by which one server holds the topics of several applications."""


@dataclass(frozen=True, slots=True)
class Name:
    """A component of a profile; *profile* is `None` for the one that was chosen for the command."""

    profile: str | None
    component: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the component that `[PROFILE/]COMPONENT` names.

        Raises:
            OptionsError: A part of it is empty.
        """
        profile, slash, component = text.rpartition("/")
        if not component or (slash and not profile):
            raise OptionsError(f"{text!r} names no component: write COMPONENT or PROFILE/COMPONENT")
        return cls(profile or None, component)

    def __str__(self) -> str:
        return f"{self.profile}/{self.component}" if self.profile else self.component


@dataclass(frozen=True, slots=True)
class End:
    """A topic of a component."""

    name: Name
    topic: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the end that `[PROFILE/]COMPONENT:TOPIC` names; the topic may have further colons.

        Raises:
            OptionsError: It has another form.
            InvalidArgumentError: No engine can have a topic of that name.
        """
        name, colon, topic = text.partition(":")
        if not colon or not topic:
            raise OptionsError(f"{text!r} is no topic of a component: write [PROFILE/]COMPONENT:TOPIC")
        return cls(Name.parse(name), check_printable("the topic of an end", topic, LONGEST_NAME))

    def __str__(self) -> str:
        return f"{self.name}:{self.topic}"


class Components:
    """The components of the profiles that bridges name: each profile is one runtime. Used by one thread."""

    def __init__(self, profile: str | None) -> None:
        self._profile = profile
        self._runtimes: dict[str | None, Runtime] = {}
        self._open = ExitStack()

    def runtime(self, profile: str | None) -> Runtime:
        """Return the runtime of *profile*, `None` for the one of the command."""
        profile = profile or self._profile
        if profile not in self._runtimes:
            self._runtimes[profile] = self._open.enter_context(Runtime(profile=profile))
        return self._runtimes[profile]

    def pubsub(self, name: Name) -> PubSub:
        """Return the pub/sub component *name*.

        Raises:
            OptionsError: It has no table.
        """
        runtime = self.runtime(name.profile)
        _check_table(runtime, "pubsub", name)
        return runtime.pubsub(name.component)

    def state(self, name: Name) -> State:
        """Return the state component *name*.

        Raises:
            OptionsError: As `pubsub`.
        """
        runtime = self.runtime(name.profile)
        _check_table(runtime, "state", name)
        return runtime.state(name.component)

    def mark(self, end: End) -> str:
        """Return the mark of a topic: the same for all bridges that reach it by the same address, prefix and name."""
        runtime, pubsub = self.runtime(end.name.profile), self.pubsub(end.name)
        found = runtime.loaded.table("pubsub", end.name.component)
        settings = found[1].driver_settings() if found else {}
        own = "" if pubsub.address else f"{runtime.loaded.profile}/{end.name.component}"
        place = [pubsub.address, own, *(str(settings.get(space, "")) for space in _SPACES), end.topic]
        return hashlib.sha256("\0".join(place).encode()).hexdigest()[:12]

    def close(self) -> None:
        """Close all that was opened."""
        self._open.close()


def _check_table(runtime: Runtime, block: str, name: Name) -> None:
    """Refuse a name without a table of its own: a mistyped one would be served by another component.

    Raises:
        OptionsError: There is none; without any tables, `default` stands for the embedded component.
        SettingsError: The block has no table at all, and no embedded component serves it here.
    """
    known = runtime.loaded.tables(block)
    if name.component in known or (not known and name.component == "default"):
        return
    there = (
        f"there are {', '.join(known)}"
        if known
        else "add it; where there is no table at all, `default` is the embedded component of this machine"
    )
    profile = f" in profile {runtime.loaded.profile}" if runtime.loaded.profile else ""
    raise OptionsError(
        f"{runtime.loaded.where()} has no [{block}.{name.component}]{profile}; {there}. Nothing was moved"
    )
