"""A value that is computed from configuration when that changes, and only read otherwise."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from capa_core.forks import renew_locks_after_fork
from capa_core.runtime import default_runtime
from capa_core.runtime._current import Readable

if TYPE_CHECKING:
    from capa_core.blocks.configuration import ConfigurationView
    from capa_core.runtime import Runtime

    Views = Sequence[ConfigurationView]

T = TypeVar("T")


class Source(Protocol):
    """One group of a configuration component, as an input of values."""

    def view(self) -> ConfigurationView:
        """Return its live view."""

    def follow(self, follower: Callable[[ConfigurationView], object]) -> Callable[[], None]:
        """Call *follower* as `Configuration.follow` does, until the function that is returned is called."""


class Live(Readable, Generic[T]):
    """The newest value that could be computed. Reading takes no lock and does no I/O once it is bound.

    It is bound to the default runtime at the first read, and again when another runtime has become the default.

    Args:
        sources: Returns, for a runtime, the sources of the value.
        compute: Returns the value from the views of these; its error is raised at the first reading, and logged at a
            later change.
        shown_by: The object that has the value as its attribute `ready` while that may be read without `get`; by
            default this one.
    """

    def __init__(
        self,
        sources: Callable[[Runtime], Iterable[Source]],
        compute: Callable[[Views], T],
        *,
        shown_by: object = None,
    ) -> None:
        self._sources = sources
        self._compute = compute
        self._shown_by = self if shown_by is None else shown_by
        self._runtime: Runtime | None = None
        self._views: Views = ()
        self._value: Any = None
        self._stops: list[Callable[[], None]] = []
        self._afters: list[Callable[[T], object]] = []
        renew_locks_after_fork(self)

    def make_locks(self) -> None:
        """Make the locks."""
        self._binding = threading.RLock()
        # Not the same lock: a change computes while its group is locked, and binding locks the group.
        self._computing = threading.RLock()

    def get(self) -> T:
        """Return the value; as long as there is none, an error of computing it is raised."""
        runtime = default_runtime()
        if runtime is not self._runtime:
            return self.bind(runtime)
        self.offer()
        return self._value  # type: ignore[no-any-return]

    def bind(self, runtime: Runtime) -> T:
        """Compute the value in *runtime* and follow its changes there."""
        sources = list(self._sources(runtime))
        # All are opened before any is locked, so that two that need the same ones cannot lock each other out.
        views = [source.view() for source in sources]
        with self._binding:
            if self._runtime is not runtime:
                value = self._compute(views)
                self._runtime = None  # until it is the new one's value that is read
                self._accept(value)
                self._views, self._runtime = views, runtime
                self._follow(runtime, sources)
        return self._value  # type: ignore[no-any-return]

    def unbind(self) -> None:
        """Compute it again at the next read."""
        self._runtime = None
        self.take_away()

    def recompute(self, runtime: Runtime) -> None:
        """Compute it for a change in *runtime*, if that is where it is bound."""
        if self._runtime is runtime:
            with self._computing:
                value = self._compute(self._views)
                changed = value != self._value
                self._accept(value)
                self.put()
                for after in self._afters if changed else ():
                    after(value)

    def after(self, follower: Callable[[T], object]) -> None:
        """Call *follower* with the new value after each change."""
        self._afters.append(follower)

    def _follow(self, runtime: Runtime, sources: Iterable[Source]) -> None:
        while self._stops:
            self._stops.pop()()
        for source in sources:
            stop = source.follow(_follower(weakref.ref(self), runtime))
            self._stops.append(stop)
            weakref.finalize(self, stop).atexit = False

    def _accept(self, value: T) -> None:
        self._value = value


def _follower(live: weakref.ref[Live[Any]], runtime: Runtime) -> Callable[[object], None]:
    def follow(_view: object) -> None:
        if (alive := live()) is not None:
            alive.recompute(runtime)

    return follow
