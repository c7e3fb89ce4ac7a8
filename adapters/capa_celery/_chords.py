"""Chords: collect the results of a header and send the body once.

Next to the saved group there are, for a group id, the size (`.n`), the number of parts added later (`.t`), a number for
each part (`.s`), the parts by that number (`.p<number>`), the count of stored parts (`.d`) and the claim to send the
body (`.c`). A part is stored before it is counted, and counted again each time its message comes again, so the count
never stays behind the parts. A part that sees it reach the size reads the parts themselves; the last one to do so sees
them all, also after crashes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import current_task, states
from celery.canvas import maybe_signature
from celery.exceptions import ChordError
from celery.result import GroupResult, allow_join_result
from celery.utils.functional import _regen

from capa_celery._errors import Outage, is_in_a_worker, is_outage
from capa_core.call.loggers import named_logger
from capa_core.errors import ConflictError

if TYPE_CHECKING:
    from capa_core import State

logger = named_logger("celery.capa.chords")

CLAIM_S = 300.0
"""Seconds for which a sent body is remembered, so that a repeated part cannot start the chord again."""
SENT = b"sent"


class Chords:
    """The chord methods of a backend that keeps its values in Capa's state."""

    if TYPE_CHECKING:
        app: Any
        expires: int | None
        encode: Any
        decode: Any
        encode_result: Any
        exception_to_python: Any
        get_key_for_group: Any

        @property
        def store(self) -> State: ...

        chord_error_from_stack: Any
        ensure_chords_allowed: Any

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        """Store how many parts a header has; the canvas calls it before it sends the last of them.

        A frozen chord that is applied again has the same group id, and is a new chord whose body may be sent.
        """
        self.store.delete(self._chord_key(group_id, "c"))
        self.store.put(self._chord_key(group_id, "n"), str(chord_size).encode(), ttl=self._chord_ttl())

    def add_to_chord(self, group_id: str, result: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Add one part to a chord; a running part of it asks for that."""
        self.store.increment(self._chord_key(group_id, "t"), ttl=self._chord_ttl())

    def apply_chord(self, header_result_args: Any, body: Any, **_: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Save the structure of a header whose parts are groups themselves; flat headers and generators need none."""
        self.ensure_chords_allowed()
        results = header_result_args[1]
        if not isinstance(results, _regen) and any(isinstance(part, GroupResult) for part in results):
            saved = self.app.GroupResult(*header_result_args).as_tuple()
            key = self.get_key_for_group(header_result_args[0])
            self.store.put(key, _bytes(self.encode({"result": saved})), ttl=self._chord_ttl())

    def on_chord_part_return(self, request: Any, state: str, result: Any, **_: Any) -> None:
        """Store the result of one part, and send the body if it was the last."""
        group_id, task_id = request.group, request.id
        if not group_id or not task_id:
            return
        done = self._store_part(group_id, task_id, request.group_index, state, result)
        size = self._size(group_id)
        if size is None or done < size:
            return
        parts = self._parts(group_id)
        if len(parts) >= size and self._claim(group_id, task_id):
            self._send_body(maybe_signature(request.chord, app=self.app), group_id, parts)

    def _size(self, group_id: str) -> int | None:
        """Return for how many parts the chord waits; `None` while the header is being sent."""
        first, added = (self._chord_key(group_id, name) for name in "nt")
        found = self.store.get_many([first, added])
        return int(found[first]) + int(found.get(added) or 0) if first in found else None

    def _store_part(self, group_id: str, task_id: str, index: int | None, state: str, result: Any) -> int:
        ttl = self._chord_ttl()
        number = self.store.increment(self._chord_key(group_id, "s"), ttl=ttl)
        part = self.encode([task_id, index, state, self.encode_result(result, state)])
        self.store.put(self._chord_key(group_id, f"p{number}"), _bytes(part), ttl=ttl)
        return self.store.increment(self._chord_key(group_id, "d"), ttl=ttl)

    def _parts(self, group_id: str) -> list[Any]:
        """Return the stored parts in the order of the header; of one that ran twice, the first."""
        count = int(self.store.get(self._chord_key(group_id, "s")) or 0)
        keys = [self._chord_key(group_id, f"p{number}") for number in range(1, count + 1)]
        stored = self.store.get_many(keys)
        parts = [self.decode(stored[key]) for key in keys if key in stored]
        parts.sort(key=lambda part: (part[1] is None, part[1]))
        return _first_of_each(parts)

    def _claim(self, group_id: str, task_id: str) -> bool:
        """Return whether this part sends the body: no part has claimed it yet, or this one did before a crash."""
        key = self._chord_key(group_id, "c")
        try:
            self.store.put(key, task_id.encode(), ttl=self._chord_ttl(), if_etag="")
        except ConflictError:
            return self.store.get(key) == task_id.encode()
        return True

    def _send_body(self, body: Any, group_id: str, parts: list[Any]) -> None:
        try:
            results = self._results(group_id, parts)
        except Exception as error:
            logger.exception("Chord %r raised", group_id)
            cause = error if isinstance(error, ChordError) else ChordError(f"Join error: {error!r}")
            self.chord_error_from_stack(body, cause)
        else:
            try:
                body.delay(results)
            except Exception as error:
                _leave_for_later(error)
                logger.exception("Chord callback for %r raised", group_id)
                self.chord_error_from_stack(body, ChordError(f"Callback error: {error!r}"))
        self._clean(group_id)

    def _results(self, group_id: str, parts: list[Any]) -> list[Any]:
        saved = GroupResult.restore(group_id, backend=self, app=self.app)
        if saved is None:
            return [self._part_result(part) for part in parts]
        stored = {part[0]: part for part in reversed(parts)}
        return [self._nested_result(result, stored) for result in saved.results]

    def _nested_result(self, result: Any, parts: dict[str, Any]) -> Any:
        """Return the value of one result of a saved header, a list for a group.

        It is read from the parts, and the store is not asked for it: this part's own result may not be there yet.
        """
        if isinstance(result, GroupResult):
            return [self._nested_result(each, parts) for each in result.results]
        part = parts.get(result.id)
        if part is not None:
            _, _, state, value = part
            value = self.exception_to_python(value) if state in states.EXCEPTION_STATES else value
            if state in states.PROPAGATE_STATES:
                raise value
            return value
        with allow_join_result():
            return result.get(timeout=self.app.conf.result_chord_join_timeout)

    def _part_result(self, part: Any) -> Any:
        task_id, _, state, result = part
        if state in states.EXCEPTION_STATES:
            result = self.exception_to_python(result)
        if state in states.PROPAGATE_STATES:
            error = ChordError(f"Dependency {task_id} raised {result!r}")
            error.__cause__ = result if isinstance(result, Exception) else None
            raise error
        return result

    def _clean(self, group_id: str) -> None:
        count = int(self.store.get(self._chord_key(group_id, "s")) or 0)
        self.store.put(self._chord_key(group_id, "c"), SENT, ttl=max(CLAIM_S, self._chord_ttl() or 0.0))
        names = ["n", "t", "s", "d", *(f"p{number}" for number in range(1, count + 1))]
        self.store.delete_many([self._chord_key(group_id, name) for name in names])

    def _chord_key(self, group_id: str, name: str) -> str:
        key: str = self.get_key_for_group(group_id, f".{name}")
        return key

    def _chord_ttl(self) -> float | None:
        # Celery before 5.6 keeps the data of chords as long as results.
        return getattr(self, "chord_expires", self.expires) or None


def _leave_for_later(error: Exception) -> None:
    """Run the part that sends the body again if *error* is that the broker is away: it keeps its claim.

    Raises:
        Outage: So it is.
    """
    if is_outage(error) and current_task and is_in_a_worker(current_task.request):
        raise Outage(str(error)) from error


def _first_of_each(parts: list[Any]) -> list[Any]:
    """Return each part once. Two entries of a header may share a task id, when a frozen signature is in it twice."""
    found: dict[Any, Any] = {}
    for part in parts:
        found.setdefault((part[0], part[1]), part)
    return list(found.values())


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
