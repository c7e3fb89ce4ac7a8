"""The banner of a worker, with the engines behind its tasks and results."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery


class Banner:
    """Goes before Celery's worker class, whose banner has the logical names alone."""

    app: Celery

    def startup_info(self, *args: Any, **kwargs: Any) -> str:
        """Return the banner."""
        text: str = super().startup_info(*args, **kwargs)  # type: ignore[misc] # Celery's class comes next
        served = self.app.capa
        text = _with(text, "transport", served.pubsub.place)
        return _with(text, "results", served.state.place) if served.stores_results else text


def _with(text: str, label: str, place: str) -> str:
    """Return *text* with *place* at the end of its line *label*."""
    return re.sub(rf"(\.> {label}: .*)", lambda found: f"{found[1]} ({place})", text, count=1)
