"""The cache of Apollo's Java client, for a start without a server after a move from Java or beside it."""

from __future__ import annotations

from pathlib import Path

from capa_core.blocks.configuration import formats
from capa_core.components.apollo._polls import Namespace
from capa_core.components.apollo._release import Release
from capa_core.errors import SettingsError

KEY = "java-cache"
"""The release key of what was read from the cache, which holds none."""


def cached_release(folder: Path, namespace: Namespace) -> Release | None:
    """Return the values that a Java client has kept in *folder*, or `None` if it kept none, or damaged ones.

    They are in `config-cache/<appId>+<cluster>+<namespace>.properties`, of documents too.
    """
    name = namespace.name.removesuffix(".properties")
    path = folder / "config-cache" / f"{namespace.app_id}+{namespace.cluster}+{name}.properties"
    try:
        text = path.read_text(encoding="iso-8859-1")  # as java.util.Properties stores
        values = formats.items(text, ".properties", str(path))
    except (OSError, SettingsError):
        return None
    return Release(KEY, namespace.cluster, values)
