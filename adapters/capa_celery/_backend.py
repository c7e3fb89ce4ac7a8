"""The result backend: Celery's key layout and JSON, kept in Capa's state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from celery import states
from celery.app.backends import BACKEND_ALIASES
from celery.backends.base import DisabledBackend, KeyValueStoreBackend
from celery.exceptions import TimeoutError as CeleryTimeoutError
from kombu.utils.encoding import bytes_to_str

from capa_celery._chords import Chords
from capa_core.errors import CapaError, ConflictError

if TYPE_CHECKING:
    from capa_celery._app import Celery
    from capa_celery._outbox import Outbox
    from capa_core import State

LONGEST_WAIT_S = 1.0
"""The longest wait for a result before the caller's `on_interval` is called."""


def backend_of(app: Celery) -> Any:
    """Return the result backend of *app*: Capa's in place of every backend that ships with Celery.

    No backend stays none, and one that the application brings itself, such as `django-db`, stays its own.
    """
    wanted = app.backend_cls or app.conf.result_backend
    if wanted is None or wanted == "" or (isinstance(wanted, str) and wanted.startswith("disabled")):
        return DisabledBackend(app=app)
    if (
        isinstance(wanted, str)
        and _is_builtin(wanted)
        and _scheme(wanted) not in app.loader.override_backends
    ):
        return CapaBackend(app=app, url=app.capa.backend_uri)
    return app.legacy_backend()


class CapaBackend(Chords, KeyValueStoreBackend):  # type: ignore[misc] # celery is not typed
    """Results in the state component. Safe for many threads, so all threads of a process share one."""

    key_t = str
    supports_autoexpire = True
    supports_native_join = True
    supports_result_compression = True
    supports_failure_expires = True
    persistent = True

    outbox: Outbox[Any] | None = None
    """Set in a worker: successes go there first, to be stored many at a time before their tasks are acknowledged."""

    def __init__(self, app: Celery, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.thread_safe = True
        failure_expires = app.conf.get("result_failure_expires")  # since 5.7
        self.failure_expires = (
            self.expires if failure_expires is None else self.prepare_expires(failure_expires, type=int)
        )

    @property
    def store(self) -> State:
        """The state component."""
        store: State = self.app.capa.state
        return store

    def get(self, key: str) -> bytes | None:
        """Return the value at *key*, also one that still waits in the outbox."""
        waiting = self.outbox.pending(key) if self.outbox is not None else None
        return self.store.get(key) if waiting is None else waiting

    def mget(self, keys: Iterable[str]) -> list[bytes | None]:
        """Return the value at each of *keys*, also those that still wait in the outbox."""
        self._send_own()
        keys = list(keys)
        found = self.store.get_many(keys)
        return [found.get(key) for key in keys]

    def _send_own(self) -> None:
        """Store the gathered results: no task may wait for a result that waits for the task's end."""
        if self.outbox is not None:
            self.outbox.send()

    def set(self, key: str, value: str | bytes, expires: float | None = None) -> None:
        """Store *value* for *expires* seconds, or as long as results are kept, and wake whoever waits for it."""
        self.store.put(key, _bytes(value), ttl=expires or self.expires or None, notify=True)

    def incr(self, key: str) -> int:
        """Add 1 to the number at *key*, which begins with 0, and return it."""
        return self.store.increment(key)

    def delete(self, key: str) -> None:
        """Delete the value at *key*."""
        self.store.delete(key)

    def as_uri(self, include_password: bool = False) -> str:  # noqa: ARG002 - there is none
        """Return the logical address, for banners and logs."""
        return str(self.url)

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Return whether `result_backend_always_retry` may try again after *exc*."""
        return isinstance(exc, CapaError) and exc.retryable

    def encode_result(self, result: Any, state: str) -> Any:
        """Return *result* as values that the serializer takes; old versions of Celery leave out a BaseException."""
        if state in states.EXCEPTION_STATES and isinstance(result, BaseException):
            return self.prepare_exception(result)
        return super().encode_result(result, state)

    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **_: Any
    ) -> Any:
        """Store a state, but never over a SUCCESS that another run of the same message has stored."""
        meta = self._get_result_meta(result=result, state=state, traceback=traceback, request=request)
        meta["task_id"] = bytes_to_str(task_id)
        key, value = self.get_key_for_task(task_id), _bytes(self.encode(meta))
        if state == states.SUCCESS and _first_delivery(request):
            # First delivery: no other run can have stored a SUCCESS, so the read is skipped.
            self._put_success(key, value)
        else:
            kept = self.failure_expires if state == states.FAILURE else self.expires
            self._put_unless_success(key, value, kept or None)
        return result

    def _put_success(self, key: str, value: bytes) -> None:
        if self.outbox is not None:
            self.outbox.put(key, value, self.expires or None)
        else:
            self.set(key, value)

    def _put_unless_success(self, key: str, value: bytes, ttl: float | None) -> None:
        while True:
            present = self.store.get_item(key)
            if present is not None and self.decode(present.value)["status"] == states.SUCCESS:
                return
            try:
                self.store.put(
                    key,
                    value,
                    ttl=ttl,
                    if_etag=present.etag if present else "",
                    notify=True,
                )
            except ConflictError:
                continue
            return

    def wait_for(
        self,
        task_id: str,
        timeout: float | None = None,
        interval: float = 0.5,  # noqa: ARG002 - nothing is polled
        no_ack: bool = True,  # noqa: ARG002 - results are no messages
        on_interval: Callable[[], object] | None = None,
        *,
        on_message: Callable[[Any], object] | None = None,
    ) -> Any:
        """Return the task's meta as soon as it is ready.

        Args:
            on_message: Called with the meta of each state that is seen meanwhile, the last included.

        Raises:
            celery.exceptions.TimeoutError: It is not within *timeout*.
        """
        key, etag = self.get_key_for_task(task_id), ""
        end = None if timeout is None else time.monotonic() + timeout
        if task_id in self._cache:
            return self._cache[task_id]
        self._send_own()
        while True:
            left = LONGEST_WAIT_S if end is None else min(LONGEST_WAIT_S, end - time.monotonic())
            item = self.store.wait(key, etag, timeout=max(0.0, left))
            if item is not None:
                etag, meta = item.etag, self.decode_result(item.value)
                if on_message:
                    on_message(meta)
                if meta["status"] in states.READY_STATES:
                    return self._remember(task_id, meta)
            if on_interval:
                on_interval()
            if end is not None and time.monotonic() >= end:
                raise CeleryTimeoutError("The operation timed out.")

    def wait_for_pending(
        self,
        result: Any,
        *,
        on_interval: Callable[[], object] | None = None,
        callback: Callable[[str, Any], object] | None = None,
        propagate: bool = True,
        **waiting: Any,
    ) -> Any:
        """Wait for *result* as `AsyncResult.get` does, and return its value or raise its error.

        When it failed because a task before it did, *on_interval* raises that task's own error, as with Celery's
        Redis backend: the body of a chord has a ChordError, and callers handle the error of the header's task.
        """
        self._ensure_not_eager()
        meta = self.wait_for(result.id, on_interval=on_interval, **waiting)
        if not meta:  # an application's own backend over this one
            return None
        result._maybe_set_cache(meta)
        if on_interval and meta["status"] in states.PROPAGATE_STATES:
            on_interval()
        return result.maybe_throw(propagate=propagate, callback=callback)

    def get_many(  # noqa: PLR0917 - the arguments are Celery's
        self,
        task_ids: Iterable[str],
        timeout: float | None = None,
        interval: float = 0.5,  # noqa: ARG002 - nothing is polled
        no_ack: bool = True,  # noqa: ARG002 - as above
        on_message: Callable[[Any], object] | None = None,
        on_interval: Callable[[], object] | None = None,
        max_iterations: int | None = None,
        READY_STATES: frozenset[str] = states.READY_STATES,  # noqa: N803 - Celery's name
    ) -> Iterator[tuple[str, Any]]:
        """Yield `(task id, meta)` of each task as it gets ready.

        Raises:
            celery.exceptions.TimeoutError: Some are not within *timeout*.
        """
        open_ids = dict.fromkeys(bytes_to_str(task_id) for task_id in task_ids)
        end = None if timeout is None else time.monotonic() + timeout
        rounds = 0
        while open_ids:
            for task_id, meta in self._ready_of(list(open_ids), READY_STATES):
                del open_ids[task_id]
                if on_message is not None:
                    on_message(meta)
                yield task_id, meta
            if not open_ids:
                return
            if end is not None and time.monotonic() >= end:
                raise CeleryTimeoutError(f"Operation timed out ({timeout})")
            if on_interval:
                on_interval()
            self._wait_for_any(next(iter(open_ids)), end)
            rounds += 1
            if max_iterations and rounds >= max_iterations:
                return

    def _ready_of(self, task_ids: list[str], ready: frozenset[str]) -> Iterator[tuple[str, Any]]:
        for task_id, value in zip(
            task_ids, self.mget([self.get_key_for_task(task_id) for task_id in task_ids]), strict=True
        ):
            if value is not None:
                meta = self.decode_result(value)
                if meta["status"] in ready:
                    yield task_id, self._remember(task_id, meta)

    def _wait_for_any(self, task_id: str, end: float | None) -> None:
        """Sleep until the first of those still open gets ready, a little at a time so that none is late by much."""
        left = 0.1 if end is None else max(0.0, min(0.1, end - time.monotonic()))
        key = self.get_key_for_task(task_id)
        present = self.store.get_item(key)
        self.store.wait(key, present.etag if present else "", timeout=left)

    def _remember(self, task_id: str, meta: Any) -> Any:
        if meta["status"] == states.SUCCESS:
            self._cache[task_id] = meta
        return meta


def _first_delivery(request: Any) -> bool:
    delivery = getattr(request, "delivery_info", None)
    return delivery is not None and delivery.get("redelivered") is False


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _scheme(backend: str) -> str:
    return backend.partition("://")[0].partition("+")[0]


def _is_builtin(backend: str) -> bool:
    return _scheme(backend) in {*BACKEND_ALIASES, "capa"} or backend.startswith("celery.backends.")
