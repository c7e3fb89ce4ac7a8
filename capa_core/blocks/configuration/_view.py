"""A live, read-only mapping of one scope, fast enough to be read a million times a second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar, overload

from capa_core.blocks.configuration.driver import Scope, Snapshot

if TYPE_CHECKING:
    DefaultT = TypeVar("DefaultT")

NOTHING = Snapshot({}, "")


class ConfigurationView(Mapping[str, str]):
    """Key → text of one scope, always as of the newest snapshot. Reading takes no lock and does no I/O.

    A change swaps one dict for another: each read sees all of one snapshot or all of the next. Two reads may see
    two; take `snapshot` for several values that belong together.
    """

    __slots__ = ("__weakref__", "_snapshot", "_stale", "_values", "scope")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._snapshot = NOTHING
        self._values: dict[str, str] = {}
        self._stale = False

    def __getitem__(self, key: str) -> str:
        return self._values[key]

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def get(self, key: str, default: None = None, /) -> str | None: ...
    @overload
    def get(self, key: str, default: DefaultT, /) -> str | DefaultT: ...
    def get(self, key: str, default: DefaultT | None = None, /) -> str | DefaultT | None:
        """Return the text at *key*, or *default*."""
        return self._values.get(key, default)

    @property
    def snapshot(self) -> Snapshot:
        """The items, version and content of one moment."""
        return self._snapshot

    @property
    def version(self) -> str:
        """The version of the present snapshot; `""` if the scope does not exist."""
        return self._snapshot.version

    @property
    def content(self) -> str | None:
        """The whole text if the group is a document, else `None`."""
        return self._snapshot.content

    @property
    def stale(self) -> bool:
        """Whether the last refresh failed (no answer, or unreadable content), so that the values may be old."""
        return self._stale

    def __repr__(self) -> str:
        # Values may be secrets.
        return f"<ConfigurationView {self.scope}: {len(self)} keys, version {self.version!r}>"

    def swap(self, snapshot: Snapshot) -> None:
        """Serve *snapshot* from now on. For the component that owns this view."""
        values = {key: item.value for key, item in snapshot.items.items()}
        self._snapshot = snapshot
        self._values = values

    def mark(self, *, stale: bool) -> None:
        """Set `stale`. For the component that owns this view."""
        self._stale = stale
