"""The back half that all clients share: namespaces held in the client's own cache, which each change replaces."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from capa_apollo._space import IfMissing, Space, texts
from capa_apollo._unread import report
from capa_apollo.config import ConfigChangeEvent, subscribe_in
from capa_core.errors import CapaError, ClosedError
from capa_core.forks import renew_locks_after_fork
from capa_core.supervision import SupervisedThread

if TYPE_CHECKING:
    from capa_core.blocks.configuration import ChangeEvent, ConfigurationView, Subscription

T = TypeVar("T")

RETRY_S = 2.0
"""The pause between two attempts to open a namespace."""

ReleaseListener = Callable[[str, Any, Any], object]
"""Called with a namespace, and with its content before and after, as it was and is in the client's cache."""


class Namespaces:
    """The namespaces that one client has touched.

    Args:
        space: Returns the place of the client's values; called at the first use.
        cache: The client's own cache: namespace → content; kept up to date until `stop`.
        shape: Returns the content for the cache from a namespace and its texts.
        if_missing: The answer to a namespace that does not exist.
    """

    def __init__(
        self,
        space: Callable[[], Space],
        cache: dict[str, Any],
        shape: Callable[[str, dict[str, str]], Any],
        if_missing: IfMissing,
    ) -> None:
        self._if_missing = if_missing
        self._space_of = space
        self._space: Space | None = None
        self._cache = cache
        self._shape = shape
        self._listener: Callable[[ConfigChangeEvent], object] | None = None
        self._release_listener: ReleaseListener | None = None
        self._told: dict[str, Any] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._unopened: set[str] = set()
        self._stopped = False
        renew_locks_after_fork(self)

    def make_locks(self) -> None:
        """Make the locks; a thread of the parent is not there in a forked child."""
        self._lock = threading.RLock()
        self._changed = threading.Condition()
        # Held while a listener of releases runs, so that two threads tell it nothing out of order.
        self._telling = threading.RLock()
        self._opener: SupervisedThread | None = None

    @property
    def space(self) -> Space:
        """The space of the client's values; found at the first use, since constructing a client reads nothing."""
        if self._space is None:
            self._space = self._space_of()
        return self._space

    # Reading

    def open(self, namespace: str) -> Any:
        """Put *namespace* into the cache and return its content there.

        Raises:
            NotFoundError: It does not exist, and `if_missing` says so.
            UnavailableError: The engine does not answer, and nothing was read from it before.
        """
        with self._lock:
            if namespace not in self._cache or namespace not in self._subscriptions:
                self._follow(namespace)
            return self._cache[namespace]

    def open_or_report(self, namespace: str) -> Any:
        """Do as `open`, but report an error of the engine once, and return `None` for it.

        A thread tries again, and further calls return `None` without waiting, until it succeeds.
        """
        if namespace in self._unopened:
            if self._opener is None:
                self._open_later(namespace)
            return None
        return self._reported(self.open, namespace)

    def put_off(self, namespace: str, error: CapaError) -> None:
        """Report *error*, of an attempt to open *namespace*, once, and let a thread try again."""
        report(self.space, namespace, error)
        if namespace not in self._cache and not isinstance(error, ClosedError):
            self._open_later(namespace)

    def read(self, namespace: str, if_missing: IfMissing | None = None) -> dict[str, str]:
        """Return the texts of *namespace* straight from the engine; raises as `open` does.

        Args:
            if_missing: In place of that of the client.
        """
        self.space.configuration.get(**self.space.scope(namespace))
        return texts(self.space.view(namespace, if_missing or self._if_missing))

    def read_or_report(self, namespace: str) -> dict[str, str] | None:
        """Do as `read`, but report an error of the engine once, and return `None` for it."""
        return self._reported(self.read, namespace)

    def wait(self, timeout_s: float) -> None:
        """Return when a namespace has changed, at `stop`, or after *timeout_s*."""
        with self._changed:
            if not self._stopped:
                self._changed.wait(timeout_s)

    def wait_while(self, holds: Callable[[], bool], timeout_s: float) -> None:
        """Return when *holds*, asked again after each change of the cache, is false, or as `wait` does."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not holds(), timeout_s)

    # Listening

    def listen(self, listener: Callable[[ConfigChangeEvent], object]) -> None:
        """Call *listener* for changes of each namespace that is open, now or later."""
        with self._lock:
            self._listener = listener
            self._subscribe_again()

    def listen_to_releases(self, listener: ReleaseListener) -> None:
        """Call *listener* when the content of an open namespace in the cache is another than it was told last.

        Releases that follow each other closely are told as one. A namespace that could not be opened at first was
        empty before. Replaces a listener of changes.
        """
        with self._lock:
            self._release_listener = listener
            self._subscribe_again()

    def tell_all(self, namespace: str) -> None:
        """Tell the listener of releases all of an open *namespace*, as if it had been empty before."""
        with self._telling:
            self._told[namespace] = self._shape(namespace, {})
            self._tell(namespace)

    # Life cycle

    def resume(self) -> None:
        """Follow changes again after `stop`, and tell a listener of releases what it missed."""
        if not self._stopped:
            return
        with self._lock:
            self._stopped = False
            for namespace in list(self._cache):
                self._apply(namespace, self.space.view(namespace))
        for namespace in list(self._told):
            self._tell(namespace)
        for namespace in list(self._unopened):
            self._open_later(namespace)

    def stop(self) -> None:
        """Leave the cache as it is from now on, and call no listener."""
        self._stopped = True
        with self._changed:
            self._changed.notify_all()

    # Inside

    def _reported(self, read: Callable[[str], T], namespace: str) -> T | None:
        _ = self.space  # wrong settings are raised
        try:
            return read(namespace)
        except CapaError as error:
            self.put_off(namespace, error)
            return None

    def _open_later(self, namespace: str) -> None:
        with self._lock:
            self._unopened.add(namespace)
            if self._opener is None and not self._stopped:
                own = weakref.ref(self)
                self._opener = SupervisedThread(
                    "capa-apollo-open", lambda: _open_until_done(own), stopping=lambda: own() is None
                )
                self._opener.start()

    def open_unopened(self) -> bool:
        """Try to open what could not be opened, and return whether to try again. For the thread that does it."""
        for namespace in list(self._unopened):
            try:
                self.open(namespace)
            except ClosedError:
                self._unopened.discard(namespace)  # for good: the runtime has ended
            except CapaError:
                continue
            else:
                # First: after a listener that raises, this begins again with the others.
                self._unopened.discard(namespace)
                self.tell_all(namespace)
        with self._lock:
            again = bool(self._unopened) and not self._stopped
            if not again:
                self._opener = None
            return again

    def _follow(self, namespace: str) -> None:
        space, own = self.space, weakref.ref(self)
        scope = space.scope(namespace)
        if self._if_missing is IfMissing.RAISE and not space.configuration.view(**scope).version:
            space.configuration.get(**scope)  # asked for again each time, as by the originals that raise
        space.view(namespace, self._if_missing)

        def follow(view: ConfigurationView) -> None:
            if (alive := own()) is not None:
                alive._apply(namespace, view)

        stop = space.configuration.follow(follow, **scope)
        weakref.finalize(self, stop).atexit = False
        self._subscribe(namespace)

    def _subscribe_again(self) -> None:
        for namespace in list(self._subscriptions):
            self._subscriptions.pop(namespace).close()
            self._subscribe(namespace)

    def _subscribe(self, namespace: str) -> None:
        own = weakref.ref(self)

        def notify(event: ConfigChangeEvent) -> None:
            alive = own()
            if alive is not None and not alive._stopped and alive._listener is not None:
                alive._listener(event)

        def tell(_event: ChangeEvent) -> None:
            if (alive := own()) is not None:
                alive._tell(namespace)

        if self._release_listener is None:
            self._subscriptions[namespace] = subscribe_in(self.space, notify, namespace)
            return
        self._subscriptions[namespace] = self.space.configuration.watch(tell, **self.space.scope(namespace))
        # Not before: a change between the two would be told to nobody.
        self._told[namespace] = self._cache[namespace]

    def _tell(self, namespace: str) -> None:
        with self._telling:
            new = self._cache[namespace]
            old = self._told.get(namespace, new)
            self._told[namespace] = new
            if old != new and self._release_listener is not None:
                self._release_listener(namespace, old, new)

    def _apply(self, namespace: str, view: ConfigurationView) -> None:
        if self._stopped and namespace in self._cache:
            return
        self._cache[namespace] = self._shape(namespace, texts(view))
        with self._changed:
            self._changed.notify_all()


def texts_alone(_namespace: str, held: dict[str, str]) -> dict[str, str]:
    """Return the texts of a namespace unchanged; for a client whose cache has them so."""
    return held


def _open_until_done(own: weakref.ref[Namespaces]) -> None:
    # No reference between two attempts: a client that nobody holds ends its thread.
    while (alive := own()) is not None and alive.open_unopened():
        del alive
        time.sleep(RETRY_S)
