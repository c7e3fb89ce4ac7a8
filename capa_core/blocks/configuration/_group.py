"""One followed scope: its view, its followers and subscriptions, and the state of its last refresh."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from capa_core.blocks.configuration._events import ChangeEvent, Subscription, compare
from capa_core.blocks.configuration._view import ConfigurationView
from capa_core.blocks.configuration.driver import Scope, Snapshot

Follower = Callable[[ConfigurationView], object]

LONGEST_PAUSE_S = 30.0


class Following:
    """The registration of one follower. Ending it takes no lock, for the reason that `Subscription.close` gives."""

    __slots__ = ("closed", "function")

    def __init__(self, function: Follower) -> None:
        self.function = function
        self.closed = False

    def close(self) -> None:
        """Do not call it again. A second call does nothing."""
        self.closed = True


class Group:
    """The state of one scope. Changed by one thread at a time, which holds `lock`; read by any.

    Attributes:
        seen: The last version of the engine, whether it was readable or not.
        loaded: Whether the view has values yet.
        failures: Refreshes that failed since the last good one.
        reachable: Whether the engine answered the last time, even with unreadable content.
        lost: Whether the engine answered the last time that it has no longer what it had.
    """

    __slots__ = (
        "failures",
        "followers",
        "loaded",
        "lock",
        "lost",
        "reachable",
        "retry_at",
        "seen",
        "subscriptions",
        "view",
    )

    def __init__(self, scope: Scope) -> None:
        self.view = ConfigurationView(scope)
        self.lock = threading.RLock()
        # Tuples that are replaced: a thread that iterates over the old one is not disturbed.
        self.followers: tuple[Following, ...] = ()
        self.subscriptions: tuple[Subscription, ...] = ()
        self.seen = ""
        self.loaded = False
        self.failures = 0
        self.reachable = True
        self.lost = False
        self.retry_at = 0.0

    @property
    def scope(self) -> Scope:
        """The scope."""
        return self.view.scope

    def serve(self, snapshot: Snapshot) -> ChangeEvent | None:
        """Serve *snapshot* and return its difference from the one before; `None` for the first one."""
        event = compare(self.scope, self.view.snapshot, snapshot) if self.loaded else None
        self.view.swap(snapshot)
        self.seen = snapshot.version
        self.loaded = True
        return event

    def fail(self, pause_s: float, *, reachable: bool, lost: bool) -> bool:
        """Note a failed refresh, to be retried after *pause_s*, doubled each time; return whether that is news.

        It is the first time, and when an engine that did not answer comes back without its data.
        """
        self.view.mark(stale=True)
        is_news = not self.failures or (lost and not self.lost)
        self.lost = lost
        self.reachable = reachable
        self.retry_at = time.monotonic() + min(pause_s * 2**self.failures, LONGEST_PAUSE_S)
        self.failures = min(self.failures + 1, 16)
        return is_news

    def recover(self) -> bool:
        """Note a good refresh; return whether the view was stale before."""
        was_stale, self.failures, self.lost = self.view.stale, 0, False
        self.view.mark(stale=False)
        return was_stale

    def join(self, subscription: Subscription) -> None:
        """Deliver events to *subscription* from now on, after those added before."""
        with self.lock:
            self.subscriptions = (*(one for one in self.subscriptions if not one.closed), subscription)

    def follow(self, following: Following) -> None:
        """Call it now and at each change."""
        with self.lock:
            following.function(self.view)
            self.followers = (*(one for one in self.followers if not one.closed), following)

    def drop_closed(self) -> None:
        """Drop closed subscriptions and followers; the caller holds the lock."""
        self.subscriptions = tuple(one for one in self.subscriptions if not one.closed)
        self.followers = tuple(one for one in self.followers if not one.closed)

    def forget(self) -> None:
        """Replace the lock, which a thread of the parent may have held when this child was forked."""
        self.lock = threading.RLock()
