"""Last known good values on disk, for a start while the engine is down."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from capa_core.blocks.configuration._stored import optional_text, text, texts
from capa_core.blocks.configuration.driver import ConfigurationItem, Scope, Snapshot
from capa_core.folders import own


class SnapshotCache:
    """One file for each scope in a folder. Many processes may share it: a file is replaced as a whole.

    Args:
        owned: The folder of Capa's own files.
        name: The name of the component, whose files are in `configuration/<name>` there.
    """

    def __init__(self, owned: Path, name: str) -> None:
        self._owned = owned
        self._folder = owned / "configuration" / name

    def save(self, scope: Scope, snapshot: Snapshot) -> None:
        """Store *snapshot*, readable by this user only, safe against a power cut.

        Raises:
            OSError: The disk is full or the folder cannot be written; the snapshot stored before is still there.
        """
        new = json.dumps(_stored(scope, snapshot), ensure_ascii=False)
        path = self.path(scope)
        if _content(path) == new:
            return
        own(self._owned, *self._folder.relative_to(self._owned).parts)
        handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(new)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise

    def load(self, scope: Scope) -> Snapshot | None:
        """Return the stored snapshot, or `None` if there is none or it is damaged."""
        try:
            stored = json.loads(_content(self.path(scope)) or "null")
            return _snapshot(stored) if stored and stored["scope"] == asdict(scope) else None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def path(self, scope: Scope) -> Path:
        """Return the file for *scope*: a readable part, and a digest because names differ in more than letters."""
        parts = (scope.application, scope.label, scope.group)
        digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=6).hexdigest()
        readable = re.sub(r"[^A-Za-z0-9.-]+", "_", "+".join(filter(None, parts)))[:80]
        return self._folder / f"{readable}-{digest}.json"


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _stored(scope: Scope, snapshot: Snapshot) -> dict[str, Any]:
    items = [
        [item.key, item.value, item.version, dict(item.tags), *([0.0, True] if item.secret else [])]
        for item in snapshot.items.values()
    ]
    return {"scope": asdict(scope), "version": snapshot.version, "content": snapshot.content, "items": items}


def _snapshot(stored: dict[str, Any]) -> Snapshot:
    items = [
        ConfigurationItem(text(key), text(value), text(version), texts(tags), secret=bool(secret))
        for key, value, version, tags, *secret in stored["items"]
    ]
    return Snapshot(
        {item.key: item for item in items}, text(stored["version"]), optional_text(stored["content"])
    )
