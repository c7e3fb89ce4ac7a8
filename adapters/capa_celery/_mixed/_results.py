"""The results of a mixed fleet: Celery's own backend, on the address of the state component."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from celery.backends.redis import RedisBackend
from kombu.utils.encoding import bytes_to_str

from capa_celery._mixed._broker import SCHEMES, address_of
from capa_core.shims import scheme_of

if TYPE_CHECKING:
    from capa_celery._app import Celery

OWN = "capa"
LOOK_S = 0.5
DONE = "done"


def backend_of(app: Celery) -> Any:
    """Return Celery's own backend: for Redis on the address of the state component, others on their own address.

    Raises:
        UnsupportedError: The results are to be on Redis, and the state component is not one server of that.
    """
    wanted = app.backend_cls or app.conf.result_backend
    if not isinstance(wanted, str) or scheme_of(wanted) not in SCHEMES | {OWN}:
        return app.legacy_backend()
    return RedisResults(app=app, url=address_of(app.capa.state))


class RedisResults(RedisBackend):  # type: ignore[misc] # celery is not typed
    """Celery's results on Redis, with chords that do not end with the worker that was to send their body."""

    outbox: Any = None
    """Set by a worker's pool, and not used: each result is stored as its task ends, as in Celery."""

    def _store_result(self, task_id: str, *args: Any, **kwargs: Any) -> Any:
        """Store the result of a task, also when the server comes back only after some seconds.

        The retry policy (in `result_backend_transport_options`, 20 s by default) is of Celery's writes alone, and it
        reads before: the result would be lost, and a task whose result is lost runs again here.
        """
        try:
            return super()._store_result(task_id, *args, **kwargs)
        except self.connection_errors:
            self.ensure(self._get_task_meta_for, (task_id,))
            return super()._store_result(task_id, *args, **kwargs)

    def on_chord_part_return(self, request: Any, state: str, result: Any, *args: Any, **kwargs: Any) -> None:
        """Store a part, and send the body if it was the last.

        A part that comes again may be one whose worker was killed when it had claimed the body. It waits here until
        the body was sent, or the claim has passed, and then tries once more.
        """
        super().on_chord_part_return(request, state, result, *args, **kwargs)
        if request.group and _came_before(request):
            while self._is_claimed(request.group):
                time.sleep(LOOK_S)
                super().on_chord_part_return(request, state, result, *args, **kwargs)

    def _is_claimed(self, group_id: str) -> bool:
        """Return whether someone has claimed the body of a chord and not sent it yet. Before Celery 5.7 nobody does."""
        claim = self.client.get(self.get_key_for_group(group_id, ".c"))
        return claim is not None and bytes_to_str(claim) != DONE  # a text with `decode_responses`


def _came_before(request: Any) -> bool:
    return bool((getattr(request, "delivery_info", None) or {}).get("redelivered"))
