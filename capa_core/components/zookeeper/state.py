"""State in ZooKeeper: one node for each value."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from kazoo.client import KazooClient, TransactionRequest
from kazoo.exceptions import KazooException, NodeExistsError, NoNodeError

from capa_core.abilities import NATIVE, absent, approximate
from capa_core.blocks.state.driver import (
    Delete,
    Put,
    StateDriver,
    StateFeature,
    StateItem,
    StateLimits,
    StateStatus,
)
from capa_core.components.zookeeper._client import key_of
from capa_core.components.zookeeper._driver import ZookeeperDriver
from capa_core.components.zookeeper._settings import ZookeeperSettings
from capa_core.errors import UnavailableError

_BESIDE_VALUE = 16_384
_LAST_LOOK_S = 0.5
_TRIES = 1000
_REMOVALS = "removals"
"""The node whose version counts removals: only a removal lets the version of a node begin again."""


class ZookeeperStateSettings(ZookeeperSettings):
    """The servers of the ensemble, and the folder of the nodes."""

    prefix: str = "/capa/state"


@dataclass(frozen=True, slots=True)
class _Found:
    """A node, or none.

    Attributes:
        version: -1 if there is no node.
        etag: The transaction of its last change, which no other change has; `""` if there is no node.
    """

    value: bytes = b""
    version: int = -1
    etag: str = ""

    def fits(self, if_etag: str | None) -> bool:
        return if_etag is None or if_etag == self.etag


class ZookeeperState(ZookeeperDriver[ZookeeperStateSettings], StateDriver[ZookeeperStateSettings]):
    """State at `<prefix>/k<key>`, the key percent-encoded; for values that are few and rarely written.

    All keys are children of one node, whose list has to fit into `max_node_bytes`: some ten thousand keys.
    """

    settings_type = ZookeeperStateSettings
    features = {
        **dict.fromkeys(StateFeature, NATIVE),
        StateFeature.TTL: absent(
            "nodes with a time to live are off by default, and removed up to a minute late"
        ),
        StateFeature.INCREMENT: absent("ZooKeeper adds no numbers"),
        StateFeature.SCAN: approximate("all keys of the component are listed at once"),
    }

    @property
    def limits(self) -> StateLimits:
        """See `StateDriver.limits`."""
        return StateLimits(max_value_bytes=self.settings.max_node_bytes - _BESIDE_VALUE)

    def get(self, key: str) -> StateItem | None:
        """See `StateDriver.get`."""
        return _item(key, self._look(key))

    def get_many(self, keys: Sequence[str]) -> list[StateItem | None]:
        """See `StateDriver.get_many`: without waiting between them."""
        answers = self.session.call_each([_reading(self.path(key)) for key in keys])
        return [_item(key, _found(answer)) for key, answer in zip(keys, answers, strict=True)]

    def put(self, write: Put) -> str | None:
        """See `StateDriver.put`."""
        for _ in range(_TRIES):
            removals, found = self._counted(write.key)
            if not found.fits(write.if_etag):
                return None
            etag = self._create(write) if found.version < 0 else self._set(write, found, removals)
            if etag is not None:
                return etag
        raise _overtaken(write.key)

    def put_many(self, writes: Sequence[Put]) -> list[str | None]:
        """See `StateDriver.put_many`."""
        return [self.put(write) for write in writes]

    def delete(self, deletion: Delete) -> bool | None:
        """See `StateDriver.delete`."""
        for _ in range(_TRIES):
            found = self._look(deletion.key)
            if not found.fits(deletion.if_etag):
                return None
            if found.version < 0:
                return False
            if self.transact([Delete(deletion.key, found.etag)]):
                return True
        raise _overtaken(deletion.key)

    def delete_many(self, keys: Sequence[str]) -> int:
        """See `StateDriver.delete_many`."""
        return sum(self.delete(Delete(key)) is True for key in dict.fromkeys(keys))

    def transact(self, operations: Sequence[Put | Delete]) -> bool:
        """See `StateDriver.transact`."""
        for _ in range(_TRIES):
            removals = self._removals()
            answers = self.session.call_each([_reading(self.path(one.key)) for one in operations])
            found = [_found(answer) for answer in answers]
            if not all(one.fits(operation.if_etag) for one, operation in zip(found, operations, strict=True)):
                return False
            if self._all_done(operations, found, removals):
                return True
        raise _overtaken(operations[0].key)

    def scan(self, prefix: str) -> Iterator[str]:
        """See `StateDriver.scan`."""
        try:
            names = self.session.call(lambda client: client.get_children_async(self.root))
        except NoNodeError:
            return
        keys = (key_of(name) for name in names if name.startswith("k"))
        yield from (key for key in keys if key is not None and key.startswith(prefix))

    def wait(self, key: str, etag: str, timeout_s: float) -> StateItem | None:
        """See `StateDriver.wait`: by a watch on the node, or on its making."""
        end = time.monotonic() + timeout_s
        while True:
            changed = threading.Event()
            left_s = end - time.monotonic()
            item = _item(key, self._look(key, changed, max(left_s, _LAST_LOOK_S)))
            if item is not None and item.etag != etag:
                return item
            if left_s <= 0:
                return None
            changed.wait(left_s)

    def inspect(self, most: int) -> StateStatus:
        """See `StateDriver.inspect`."""
        keys = sum(1 for _ in islice(self.scan(""), most + 1))
        return StateStatus(keys=min(keys, most), complete=keys <= most)

    def _look(
        self, key: str, changed: threading.Event | None = None, limit_s: float = float("inf")
    ) -> _Found:
        """Return the node of *key*, and have *changed* set when it changes or the connection does."""
        path, watch = self.path(key), (lambda _event: changed.set()) if changed else None
        while True:
            try:
                return _found(self.session.call(lambda client: client.get_async(path, watch), limit_s))
            except NoNodeError:
                exists = self.session.call(lambda client: client.exists_async(path, watch), limit_s)
                if exists is None:
                    return _Found()

    def _removals(self) -> int:
        """Return the count of removals: what is decided by the version of a node holds while it stays the same."""
        path = f"{self.root}/{_REMOVALS}"
        while True:
            try:
                return int(self.session.call(lambda client: client.get_async(path))[1].version)
            except NoNodeError:
                self.session.make(path)

    def _counted(self, key: str) -> tuple[int, _Found]:
        return self._removals(), self._look(key)

    def _create(self, write: Put) -> str | None:
        path = self.path(write.key)
        try:
            _, stat = self.session.call(
                lambda client: client.create_async(path, write.value, include_data=True)
            )
        except NodeExistsError:
            return None
        return str(stat.mzxid)

    def _set(self, write: Put, found: _Found, removals: int) -> str | None:
        def fill(transaction: TransactionRequest) -> None:
            transaction.check(f"{self.root}/{_REMOVALS}", removals)
            transaction.set_data(self.path(write.key), write.value, found.version)

        _, stat = self.session.transact(fill)
        return None if isinstance(stat, Exception) else str(stat.mzxid)

    def _all_done(self, operations: Sequence[Put | Delete], found: Sequence[_Found], removals: int) -> bool:
        def fill(transaction: TransactionRequest) -> None:
            counter = f"{self.root}/{_REMOVALS}"
            if any(isinstance(operation, Delete) for operation in operations):
                transaction.set_data(counter, b"", removals)
            else:
                transaction.check(counter, removals)
            for operation, one in zip(operations, found, strict=True):
                _add(transaction, self.path(operation.key), operation, one)

        return not any(isinstance(result, Exception) for result in self.session.transact(fill))


def _reading(path: str) -> Callable[[KazooClient], Any]:
    return lambda client: client.get_async(path)


def _add(transaction: TransactionRequest, path: str, operation: Put | Delete, found: _Found) -> None:
    """Add the change of one node, which fails if it is not as *found*."""
    if isinstance(operation, Put):
        if found.version < 0:
            transaction.create(path, operation.value)
        else:
            transaction.set_data(path, operation.value, found.version)
    elif found.version < 0:  # there must be none: to make it and remove it fails if there is one
        transaction.create(path)
        transaction.delete(path)
    else:
        transaction.delete(path, found.version)


def _found(answer: Any) -> _Found:
    if isinstance(answer, NoNodeError):
        return _Found()
    if isinstance(answer, KazooException):
        raise answer
    value, stat = answer
    return _Found(value or b"", stat.version, str(stat.mzxid))


def _item(key: str, found: _Found) -> StateItem | None:
    return None if found.version < 0 else StateItem(key, found.value, found.etag)


def _overtaken(key: str) -> UnavailableError:
    return UnavailableError(f"{key!r}: other changes came first {_TRIES} times. Nothing was done; try again.")
