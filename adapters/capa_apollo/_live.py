"""A value that is computed from configuration when that changes, and only read otherwise."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from capa_apollo._forks import renew_locks_after_fork
from capa_core import default_runtime

if TYPE_CHECKING:
    from capa_apollo._space import Space
    from capa_core.blocks.configuration import ConfigurationView
    from capa_core.runtime import Runtime

    Views = Sequence[ConfigurationView]

T = TypeVar("T")


class Live(Generic[T]):
    """The newest value that could be computed. Reading takes no lock and does no I/O once it is bound.

    It is bound to the default runtime at the first read, and again when another runtime has become the default.

    Args:
        inputs: Returns, for a runtime, the inputs of the value: spaces with the names of namespaces.
        compute: Returns the value from the views of these; its error is raised at the first reading, and logged at a
            later change.
    """

    def __init__(
        self, inputs: Callable[[Runtime], Iterable[tuple[Space, str]]], compute: Callable[[Views], T]
    ) -> None:
        self._inputs = inputs
        self._compute = compute
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
        if default_runtime() is self._runtime:
            return self._value  # type: ignore[no-any-return]
        return self.bind(default_runtime())

    def bind(self, runtime: Runtime) -> T:
        """Compute the value in *runtime* and follow its changes there."""
        inputs = list(self._inputs(runtime))
        # All are opened before any is locked, so that two that need the same ones cannot lock each other out.
        views = [space.view(name) for space, name in inputs]
        with self._binding:
            if self._runtime is not runtime:
                self._accept(self._compute(views))
                self._views, self._runtime = views, runtime
                self._follow(runtime, inputs)
        return self._value  # type: ignore[no-any-return]

    def unbind(self) -> None:
        """Compute it again at the next read."""
        self._runtime = None

    def recompute(self, runtime: Runtime) -> None:
        """Compute it for a change in *runtime*, if that is where it is bound."""
        if self._runtime is runtime:
            with self._computing:
                value = self._compute(self._views)
                changed = value != self._value
                self._accept(value)
                for after in self._afters if changed else ():
                    after(value)

    def after(self, follower: Callable[[T], object]) -> None:
        """Call *follower* with the new value after each change."""
        self._afters.append(follower)

    def _follow(self, runtime: Runtime, inputs: Iterable[tuple[Space, str]]) -> None:
        while self._stops:
            self._stops.pop()()
        for space, name in inputs:
            stop = space.configuration.follow(_follower(weakref.ref(self), runtime), **space.scope(name))
            self._stops.append(stop)
            weakref.finalize(self, stop).atexit = False

    def _accept(self, value: T) -> None:
        self._value = value


def _follower(live: weakref.ref[Live[Any]], runtime: Runtime) -> Callable[[object], None]:
    def follow(_view: object) -> None:
        if (alive := live()) is not None:
            alive.recompute(runtime)

    return follow
