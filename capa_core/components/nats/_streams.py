"""Streams and consumers of topics, made when they are needed.

    publish ──▶ subject …now ─────▶ ┌────────┐ ──▶ consumer group+<group>      one for each group
                                    │ stream │ ──▶ consumer listener+<…>       one for each broadcast
    publish ──▶ subject …later.1 ─▶ └────────┘ ──▶ consumer kept               until there is a group
                  └─ at its time the server publishes it to …now

A message stays until each consumer has acknowledged it (retention by interest). Nobody receives from `kept`, which
holds what waits for the first group, nor from `later`, which holds what is not due.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from capa_core.components.nats._errors import (
    CONSUMER_EXISTS,
    NO_CONSUMER,
    NO_STREAM,
    STREAM_EXISTS,
    SUBJECTS_OVERLAP,
    JetStreamError,
    RefusedError,
)
from capa_core.components.nats._link import Link
from capa_core.components.nats._names import GROUP_KEY, KEPT, LASTING, LATER, TEMPORARY, TOPIC_KEY, Names
from capa_core.components.nats._settings import NatsSettings
from capa_core.errors import ConflictError

NANOSECONDS = 1_000_000_000
LONGEST_ACK_WAIT_S = 30.0
"""A message that a process did not live to read comes again after this time at the latest, however long its leases."""
_MOST_WAITING = 16_384
_NEEDED = {"retention": "interest", "allow_msg_schedules": True, "allow_direct": True}
_UNLIMITED = ("max_msgs", "max_bytes", "max_msgs_per_subject")


class Place(NamedTuple):
    """A consumer of a stream, as a member of a group has it.

    Attributes:
        ack_wait_s: After so many seconds a message comes again that no lease was asked for.
        born: When the stream was made; its numbers begin again with it.
    """

    stream: str
    consumer: str
    ack_wait_s: float
    born: str

    def reply(self, number: int) -> str:
        """Return a subject on which to settle the delivered message *number* without its receipt."""
        return f"$JS.ACK.{self.stream}.{self.consumer}.1.{number}.1.0.0"


class Streams:
    """The streams that this component has seen, until `forget`."""

    def __init__(self, link: Link, settings: NatsSettings) -> None:
        self._link = link
        self._settings = settings
        self._known: set[str] = set()

    def names(self, topic: str) -> Names:
        """Return the names of *topic*."""
        return Names(self._settings.prefix, topic)

    def topic(self, names: Names) -> None:
        """Have the stream of a topic, and what holds its messages.

        Raises:
            RefusedError: There is one that an operator made, and it would lose messages.
        """
        if names.stream in self._known:
            return
        config = self._stream(names)["config"]
        if problem := difference(config, names):
            raise RefusedError(
                ConflictError,
                f"the stream {names.stream!r} is not as this component makes it (an operator may have made it): "
                f"{problem}. Correct it with `nats stream edit`, delete it once it is empty, or give this component "
                "a `prefix` of its own.",
            )
        self._make(names, LATER, filter_subject=names.later, deliver_policy="all")
        self._keep_for_first(names)
        self._known.add(names.stream)

    def mend(self, names: Names) -> None:
        """Make anew what an operator deleted."""
        self._known.discard(names.stream)
        self.topic(names)

    def join(self, names: Names, group: str, lease_s: float) -> Place:
        """Have the consumer of *group*."""
        self.mend(names)
        consumer = names.consumer(group)
        found = self.consumer(names, consumer)
        if found is None:
            found = self._first(names, group, lease_s)
        self._delete(names, KEPT)  # also if the process that made the group was killed before it came to this
        return self._place(names, found)

    def listen(self, names: Names, group: str, lease_s: float, silence_s: float) -> Place:
        """Have a new consumer of a listener, which the server drops after *silence_s* without a sign of life."""
        self.mend(names)
        consumer = names.consumer(group, temporary=True)
        self._delete(names, consumer)
        threshold = {"inactive_threshold": round(silence_s * NANOSECONDS)}
        return self._place(names, self._make_group(names, consumer, group, lease_s, "new", **threshold))

    def leave(self, place: Place) -> None:
        """Drop the consumer of a listener."""
        self._ask_unless(NO_CONSUMER, f"CONSUMER.DELETE.{place.stream}.{place.consumer}")

    def info(self, names: Names) -> dict[str, Any] | None:
        """Return what the server says of the stream; `None` if there is none."""
        return self._ask_unless(NO_STREAM, f"STREAM.INFO.{names.stream}")

    def server_time(self, names: Names) -> str:
        """Return the server's time, as it writes it; an operator may have deleted the stream."""
        found = self.info(names)
        if found is None:
            self.mend(names)
        return str((found or self._link.api(f"STREAM.INFO.{names.stream}"))["ts"])

    def consumer(self, names: Names, consumer: str) -> dict[str, Any] | None:
        """Return what the server says of *consumer*; `None` if there is none."""
        return self._ask_unless(NO_CONSUMER, f"CONSUMER.INFO.{names.stream}.{consumer}")

    def groups(self, names: Names) -> list[dict[str, Any]]:
        """Return what the server says of the consumers of groups and listeners."""
        return [each for each in self._consumers(names) if each["name"].startswith((LASTING, TEMPORARY))]

    def topics(self) -> Iterator[str]:
        """Yield the name of each topic."""
        for stream in self._pages("STREAM.LIST", "streams", subject=f"{self._settings.prefix}.*.now"):
            metadata = stream["config"].get("metadata") or {}
            if TOPIC_KEY in metadata:
                yield metadata[TOPIC_KEY]

    def purge(self, names: Names) -> int:
        """Remove all messages, and return their number."""
        purged = self._ask_unless(NO_STREAM, f"STREAM.PURGE.{names.stream}")
        return int(purged["purged"]) if purged else 0

    # --- parts

    def _stream(self, names: Names) -> dict[str, Any]:
        """Return what the server says of the stream, which is made if there is none."""
        config = _NEEDED | {
            "name": names.stream,
            "subjects": [names.now, names.later],
            "storage": "file",
            "num_replicas": self._settings.replicas,
            "discard": "old",
            "metadata": {TOPIC_KEY: names.topic},
        }
        found = self.info(names)
        if found is not None:
            return found
        try:
            return self._link.api(f"STREAM.CREATE.{names.stream}", **config)
        except JetStreamError as error:
            if error.number == SUBJECTS_OVERLAP:
                raise RefusedError(
                    ConflictError,
                    f"another stream already takes the subjects {names.now!r} and {names.later!r}, an operator may "
                    "have made it: see `nats stream ls --subject`. Delete it once it is empty, or give this component "
                    "a `prefix` of its own.",
                ) from error
            if error.number != STREAM_EXISTS:
                raise
        return self._link.api(f"STREAM.INFO.{names.stream}")

    def _keep_for_first(self, names: Names) -> None:
        """Have `kept` if there is no group yet: without any consumer, the server would drop what is published."""
        if self._lasting(names):
            return
        self._make(names, KEPT, filter_subject=names.now, deliver_policy="all")
        if self._lasting(names):  # made meanwhile, by a process that did not see this one's
            self._delete(names, KEPT)

    def _first(self, names: Names, group: str, lease_s: float) -> dict[str, Any]:
        """Make the consumer of *group*, which gets what was kept if it is the first one."""
        is_first = not self._lasting(names)
        policy = "all" if is_first else "new"
        return self._make_group(names, names.consumer(group), group, lease_s, policy)

    def _make_group(
        self, names: Names, consumer: str, group: str, lease_s: float, policy: str, **more: Any
    ) -> dict[str, Any]:
        ack_wait = round(min(lease_s, LONGEST_ACK_WAIT_S) * NANOSECONDS)
        metadata = {GROUP_KEY: group}
        options = {"ack_wait": ack_wait, "deliver_policy": policy, "metadata": metadata}
        return self._make(names, consumer, filter_subject=names.now, **options, **more)

    def _make(self, names: Names, consumer: str, **options: Any) -> dict[str, Any]:
        """Return what the server says of *consumer*, which is made if there is none; it stays as it is otherwise."""
        config = {
            "name": consumer,
            "durable_name": consumer,
            "ack_policy": "explicit",
            "max_deliver": -1,
            "max_ack_pending": -1,
            "max_waiting": _MOST_WAITING,
        } | options
        subject = f"{names.stream}.{consumer}"
        try:
            return self._link.api(
                f"CONSUMER.CREATE.{subject}", stream_name=names.stream, config=config, action="create"
            )
        except JetStreamError as error:
            if error.number != CONSUMER_EXISTS:
                raise
        return self._link.api(f"CONSUMER.INFO.{subject}")

    def _place(self, names: Names, found: dict[str, Any]) -> Place:
        config = found["config"]
        if config["ack_policy"] != "explicit" or config.get("max_deliver", -1) > 0:
            raise RefusedError(
                ConflictError,
                f"the consumer {found['name']!r} of the stream {names.stream!r} is not as this component makes it, an "
                "operator may have made it: it needs ack_policy explicit and max_deliver -1, or messages are lost. "
                "Delete it.",
            )
        born = str((self.info(names) or {}).get("created", ""))
        return Place(names.stream, found["name"], config["ack_wait"] / NANOSECONDS, born)

    def _lasting(self, names: Names) -> list[str]:
        return [each["name"] for each in self._consumers(names) if each["name"].startswith(LASTING)]

    def _consumers(self, names: Names) -> list[dict[str, Any]]:
        try:
            return list(self._pages(f"CONSUMER.LIST.{names.stream}", "consumers"))
        except JetStreamError as error:
            if error.number != NO_STREAM:
                raise
            return []

    def _delete(self, names: Names, consumer: str) -> None:
        self._ask_unless(NO_CONSUMER, f"CONSUMER.DELETE.{names.stream}.{consumer}")

    def _pages(self, asked: str, key: str, /, **arguments: Any) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            page = self._link.api(asked, offset=offset, **arguments)
            yield from page[key] or ()
            offset += page["limit"]
            if offset >= page["total"]:
                return

    def _ask_unless(self, missing: int, subject: str) -> dict[str, Any] | None:
        """Return the answer to a request; `None` if what it names, or the stream that it is in, is not there."""
        try:
            return self._link.api(subject)
        except JetStreamError as error:
            if error.number not in (missing, NO_STREAM):
                raise
            return None


def difference(config: dict[str, Any], names: Names) -> str:
    """Return what is wrong with the stream of a topic, so that it may lose messages; `""` if nothing is."""
    wrong = [f"{key} must be {value!s}" for key, value in _NEEDED.items() if config.get(key) != value]
    wrong += [f"{key} must be unlimited" for key in _UNLIMITED if config.get(key, -1) > 0]
    if config.get("max_age"):
        wrong.append("max_age must be 0")
    if config.get("no_ack"):
        wrong.append("no_ack must be off")
    if not {names.now, names.later} <= set(config.get("subjects") or ()):
        wrong.append(f"its subjects must be {names.now} and {names.later}")
    return ", ".join(wrong)
