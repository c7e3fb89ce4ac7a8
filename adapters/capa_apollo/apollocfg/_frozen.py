"""Frozen keys: their values are those of the first successful start, whatever is published later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Keys = Iterable[str] | Mapping[str, Iterable[str]]
"""Keys of all namespaces, or namespace → keys; a text is one key."""


def by_namespace(keys: Keys | None, namespaces: Sequence[str]) -> dict[str, set[str]]:
    """Return namespace → keys; keys without a namespace belong to each of *namespaces*."""
    if isinstance(keys, Mapping):
        given = {name: _texts(listed) for name, listed in keys.items()}
        return {name: set() for name in namespaces} | given
    return {name: _texts(keys) for name in namespaces}


def _texts(keys: Iterable[str] | None) -> set[str]:
    return {keys} if isinstance(keys, str) else set(keys or ())


class Frozen:
    """The frozen keys of a client, and the values that they had at its start.

    Args:
        declared: Namespace → keys. One that had no value at the start has none later.
        static: Namespace → the program's own values.
    """

    def __init__(self, declared: Mapping[str, set[str]], static: Mapping[str, Mapping[str, str]]) -> None:
        self.declared = declared
        self._static = static
        self._read: dict[str, dict[str, str]] = {}
        self._effective: dict[str, dict[str, str]] = {}

    def capture(self, namespace: str, held: Mapping[str, str]) -> None:
        """Keep the values of frozen keys, unless that was done before."""
        if namespace in self._read:
            return
        keys, static = self.declared.get(namespace, set()), self._static.get(namespace, {})
        read = {key: held[key] for key in keys if held.get(key, "").strip()}
        self._effective[namespace] = {key: static[key] for key in keys & static.keys()} | read
        self._read[namespace] = read

    def discard(self) -> None:
        """Forget the values, so that the next start keeps those that it finds."""
        self._read.clear()
        self._effective.clear()

    def text(self, namespace: str, key: str, default: Any) -> Any:
        """Return the text that the frozen *key* had, or *default*."""
        return self._read.get(namespace, {}).get(key, default)

    def read(self, namespace: str, held: Mapping[str, str]) -> dict[str, str]:
        """Return *held* with frozen keys as they were."""
        keys = self.declared.get(namespace, set())
        return {key: text for key, text in held.items() if key not in keys} | self._read.get(namespace, {})

    def effective(self, namespace: str, held: Mapping[str, str]) -> dict[str, str]:
        """Return the program's own values below those of `read`; a blank text does not hide one."""
        keys, static = self.declared.get(namespace, set()), self._static.get(namespace, {})
        merged = {key: text for key, text in static.items() if key not in keys}
        for key, text in self.read(namespace, held).items():
            if text.strip() or key not in merged:
                merged[key] = text
        return merged | self._effective.get(namespace, {})
