"""Publishing of task messages: Celery's arguments, defaults, signals and errors in front, Capa's pub/sub behind."""

from __future__ import annotations

import itertools
import reprlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery import signals
from celery.exceptions import InvalidTaskError
from kombu import Queue
from kombu.exceptions import OperationalError

from capa_celery import _codec
from capa_celery._errors import is_outage, unsupported
from capa_celery._queues import Topic, bound_to, default_priority, topic_of
from capa_celery._sdk import SDK
from capa_celery._times import delay_and_ttl
from capa_celery._worker._checks import check_name
from capa_core.blocks.pubsub.driver import PubSubFeature
from capa_core.call.loggers import named_logger
from capa_core.errors import CapaError, InvalidArgumentError
from capa_core.shims import details
from capa_kombu.over_pubsub import engine_priority

if TYPE_CHECKING:
    from capa_celery._amqp import AMQP
    from capa_celery._components import Components

CONTENT_TYPE = "application/vnd.celery.v2+json"

logger = named_logger("celery.capa")


@dataclass(frozen=True, slots=True)
class Target:
    """The destination of one message, in Capa's terms and in those that signals and tasks see."""

    topics: tuple[Topic, ...]
    queue: Queue | None
    exchange: Any
    routing_key: str


class Sender:
    """Publishes the task messages of one application. Safe for many threads."""

    def __init__(self, amqp: AMQP, components: Components) -> None:
        conf = amqp.app.conf
        self._app = amqp.app
        self._amqp = amqp
        self._components = components
        self._retry = conf.task_publish_retry
        self._retry_policy = conf.task_publish_retry_policy
        self._serializer = conf.task_serializer
        self._compression = conf.task_compression
        self._routing_key = conf.task_default_routing_key
        self._delivery_mode = _delivery_mode(conf.task_default_delivery_mode)
        components.tell_places()
        self._scheme = components.broker_scheme
        self._priority_default = default_priority(self._scheme)
        self._asked: object = None
        self._has_priorities = False
        self._warned = False

    def __call__(  # noqa: PLR0917 - the arguments are Celery's
        self,
        producer: Any,
        name: str,
        message: Any,
        exchange: Any = None,
        routing_key: str | None = None,
        queue: Queue | str | None = None,
        event_dispatcher: Any = None,
        retry: bool | None = None,
        retry_policy: Mapping[str, Any] | None = None,
        serializer: str | None = None,
        delivery_mode: Any = None,
        compression: str | None = None,
        declare: Any = None,
        headers: Mapping[str, Any] | None = None,
        exchange_type: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the component's policy keeps the time
        confirm_timeout: float | None = None,  # noqa: ARG002 - as above
        **properties: Any,
    ) -> None:
        """Publish *message*, which `app.amqp.create_task_message` made.

        Raises:
            kombu.exceptions.EncodeError: The arguments do not fit the serializer. Nothing was published.
            OperationalError: (kombu's) the component did not take the message; its own error is chained.
            UnsupportedError: No queue is bound to this exchange and routing key. Nothing was published.
            InvalidArgumentError: The id or name of the task is no text of 1 to 400 characters. Nothing was published.
        """
        all_headers, all_properties, body = message[0], message[1], message[2]
        if headers:
            all_headers.update(headers)
        all_properties.update(properties)
        _check_names(body if isinstance(body, dict) else all_headers)  # protocol 1 has them in the body
        target = self._target(exchange, routing_key, queue, exchange_type)
        policy = {**self._retry_policy, **(retry_policy or {})}
        if signals.before_task_publish.receivers:
            signals.before_task_publish.send(
                sender=name,
                body=body,
                exchange=target.exchange,
                routing_key=target.routing_key,
                declare=[target.queue] if declare is None and target.queue is not None else declare,
                headers=all_headers,
                properties=all_properties,
                retry_policy=policy,
            )
            all_properties = dict(all_properties)  # a receiver may have kept those of the signal
        self._complete(all_properties, delivery_mode, target)
        envelope, used = _codec.pack_body(
            body, serializer or self._serializer, compression or self._compression
        )
        if used:
            all_headers["compression"] = used
        envelope.headers, envelope.properties = all_headers, all_properties
        retries = self._retry if retry is None else retry
        fields = message[0] or message[2]  # protocol 1 has no headers and keeps them in the body
        times = delay_and_ttl(fields, self._app.conf.timezone)
        self._publish(target.topics, envelope, times, policy if retries else None)
        if signals.after_task_publish.receivers:
            signals.after_task_publish.send(
                sender=name,
                body=body,
                headers=all_headers,
                exchange=target.exchange,
                routing_key=target.routing_key,
            )
        if signals.task_sent.receivers:
            _send_task_sent(name, all_headers, body)
        if message[3]:
            dispatcher = event_dispatcher or self._amqp._event_dispatcher
            fields = {
                **message[3],
                "queue": target.queue and target.queue.name,
                "exchange": _name(target.exchange),
                "routing_key": target.routing_key,
            }
            dispatcher.publish("task-sent", fields, producer or self._app.own_producer)

    def _target(
        self, exchange: Any, routing_key: str | None, queue: Any, exchange_type: str | None
    ) -> Target:
        """Resolve the options that the router left open, by the rules of Celery's own sender."""
        if queue is None and exchange is None:
            queue = self._amqp.default_queue
        if queue is not None:
            if isinstance(queue, str):
                queue = self._amqp.queues[queue]
            kind = exchange_type or (queue.exchange.type if queue.exchange else "direct")
            if kind == "direct" and (not exchange or not routing_key):
                return Target((topic_of(queue),), queue, "", queue.name)
            if exchange is None:
                exchange = queue.exchange.name
            routing_key = routing_key or queue.routing_key or self._routing_key
        key = routing_key or ""
        topics = tuple(bound_to(exchange, key, self._amqp.queues))
        if not topics:
            raise unsupported(
                f"Publishing to exchange {exchange!r} with routing key {key!r}, to which no queue of this "
                f"application is bound,",
                instead="Declare the queue in task_queues, or give queue=.",
                section="exchanges",
            )
        return Target(topics, queue, exchange, key)

    def _complete(self, properties: dict[str, Any], delivery_mode: Any, target: Target) -> None:
        if delivery_mode is None and target.queue is not None and target.queue.exchange:
            delivery_mode = target.queue.exchange.delivery_mode
        properties["delivery_mode"] = _delivery_mode(delivery_mode) if delivery_mode else self._delivery_mode
        properties["delivery_info"] = {"exchange": _name(target.exchange), "routing_key": target.routing_key}
        if self._priority_default is not None and properties.get("priority") is None:
            properties["priority"] = self._priority_default
        expiration = properties.get("expiration")
        if expiration is not None:
            properties["expiration"] = str(int(expiration * 1000))

    def _publish(
        self,
        topics: tuple[Topic, ...],
        envelope: _codec.Envelope,
        times: tuple[float, float | None],
        policy: Mapping[str, Any] | None,
    ) -> None:
        data = _codec.encode(envelope)
        priority = self._priority(envelope.properties)
        for topic in topics:
            try:
                self._publish_once(topic, data, priority, times)
            except OperationalError as error:
                if not policy or policy.get("max_retries", 3) == 0 or not is_outage(error):
                    raise
                self._publish_again(topic, data, priority, times, policy)

    def _publish_again(
        self,
        topic: Topic,
        data: bytes,
        priority: int,
        times: tuple[float, float | None],
        policy: Mapping[str, Any],
    ) -> None:
        """Try again by kombu's retry policy; `max_retries=None` means without limit."""
        most, longest = policy.get("max_retries", 3), policy.get("interval_max", 0.2)
        pause_s, step_s = policy.get("interval_start", 0), policy.get("interval_step", 0.2)
        for attempt in itertools.count(1):
            time.sleep(min(pause_s, longest))
            pause_s += step_s
            try:
                self._publish_once(topic, data, priority, times)
            except OperationalError as error:
                if (most is not None and attempt >= most) or not is_outage(error):
                    raise
            else:
                return

    def _publish_once(
        self, topic: Topic, data: bytes, priority: int, times: tuple[float, float | None]
    ) -> None:
        try:
            self._components.pubsub.publish(
                topic.name,
                data,
                content_type=CONTENT_TYPE,
                priority=priority,
                delay=times[0],
                ttl=times[1],
                raw=True,
            )
        except CapaError as error:
            raise OperationalError(str(error)) from error

    def _priority(self, properties: Mapping[str, Any]) -> int:
        pubsub = self._components.pubsub
        if pubsub is not self._asked:
            self._asked, self._has_priorities = pubsub, bool(pubsub.features[PubSubFeature.PRIORITY])
        if self._has_priorities:
            return engine_priority(properties.get("priority"), self._scheme)
        if properties.get("priority") and not self._warned:
            self._warned = True
            logger.warning("priority is ignored: pub/sub component %r has no priorities", pubsub.name)
        return 0


def _check_names(fields: Mapping[str, Any]) -> None:
    """Refuse what no worker would run, since nobody would answer the caller."""
    task_id, name = fields.get("id"), fields.get("task")
    try:
        check_name("id", task_id)
        check_name("task", name)
    except InvalidTaskError as error:
        raise InvalidArgumentError(
            f"task {reprlib.repr(name)} with id {reprlib.repr(task_id)} was not sent: {error}. "
            f"{details(SDK, 'malformed-messages')}"
        ) from error


def _delivery_mode(mode: Any) -> int:
    return {"transient": 1, "persistent": 2}[mode] if isinstance(mode, str) else int(mode)


def _name(exchange: Any) -> str:
    return exchange if isinstance(exchange, str) else exchange.name


def _send_task_sent(name: str, headers: Mapping[str, Any], body: Any) -> None:
    """Send the signal that Celery keeps for old receivers."""
    if not isinstance(body, tuple):  # protocol 1
        headers, body = body, (body["args"], body["kwargs"])
    signals.task_sent.send(
        sender=name,
        task_id=headers["id"],
        task=name,
        args=body[0],
        kwargs=body[1],
        eta=headers["eta"],
        taskset=headers.get("group"),
    )
