"""Listeners of the shape `f(action, namespace, key, value)`, as xhrg's client and those that grew from it call them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from capa_apollo.config import ConfigChangeEvent, PropertyChangeType

TupleListener = Callable[[str, str, str, str | None], object]

ACTIONS = {
    PropertyChangeType.ADDED: "add",
    PropertyChangeType.MODIFIED: "update",
    PropertyChangeType.DELETED: "delete",
}
CONFIGURATIONS = "configurations"


def notify(listener: TupleListener, event: ConfigChangeEvent) -> None:
    """Call *listener* for each change: those of old keys first, then added ones; `delete` has the old value.

    As in the originals, an error ends the calls for this event and is logged.
    """
    try:
        for change in sorted(
            event.changes.values(), key=lambda one: one.change_type is PropertyChangeType.ADDED
        ):
            deleted = change.change_type is PropertyChangeType.DELETED
            value = change.old_value if deleted else change.new_value
            listener(ACTIONS[change.change_type], event.namespace, change.property_name, value)
    except Exception:
        logging.getLogger(__name__).exception("an Apollo change listener failed")


def as_cached(_namespace: str, held: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the texts of a namespace as these clients cache them."""
    return {CONFIGURATIONS: held}
