"""Listeners of the shape `f(action, namespace, key, value)`, as xhrg's client and those that grew from it call them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from capa_apollo._key_changes import DELETED, key_changes
from capa_apollo._wire_names import CONFIGURATIONS

TupleListener = Callable[[str, str, str, Any], object]


def notify(listener: TupleListener, namespace: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Call *listener* for each change from *old* to *new*; `delete` has the old value.

    As in the originals, an error ends the calls for this release and is logged.
    """
    try:
        for action, key, before, after in key_changes(old, new):
            listener(action, namespace, key, before if action == DELETED else after)
    except Exception:
        logging.getLogger(__name__).exception("an Apollo change listener failed")


def as_cached(_namespace: str, held: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the texts of a namespace as these clients cache them."""
    return {CONFIGURATIONS: held}
