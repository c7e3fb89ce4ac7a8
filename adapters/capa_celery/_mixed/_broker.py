"""The broker of a mixed fleet: the address of the pub/sub component, for kombu's own connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from kombu import Queue

from capa_celery._errors import unsupported
from capa_celery._queues import topic_of
from capa_core.blocks.pubsub import PubSub, in_layout
from capa_core.errors import UnsupportedError
from capa_core.shims import scheme_of

if TYPE_CHECKING:
    from celery import Celery

    from capa_core import State

LAYOUT = "celery"
SECURE = "rediss"
SCHEMES = frozenset({"redis", SECURE})


def address_of(component: PubSub | State) -> str:
    """Return the address of a component as kombu and Celery's backends take it, credentials included.

    Raises:
        UnsupportedError: The component is not one Redis server.
    """
    try:
        address = component.legacy_address().reveal()
    except UnsupportedError as error:
        raise _refused(component) from error
    if scheme_of(address) not in SCHEMES:
        raise _refused(component)
    if scheme_of(address) == SECURE:
        return _verified(address)
    return address


def queues_of(app: Celery, pubsub: PubSub) -> PubSub:
    """Return the object by which a worker receives from the queues of the fleet.

    Raises:
        UnsupportedError: The component is not one Redis server.
        SettingsError: The application's `broker_transport_options` are wrong.
    """
    try:
        return in_layout(pubsub, LAYOUT, app.conf.broker_transport_options)
    except UnsupportedError as error:
        raise _refused(pubsub) from error


def declare(app: Celery, queue: Queue) -> None:
    """Declare a queue that a worker consumes, with its bindings, as Celery does.

    Raises:
        UnsupportedError: It is a queue on a fanout exchange.
        OperationalError: (kombu's) The broker is away.
    """
    if topic_of(queue).broadcast:
        raise unsupported(
            f'The queue {queue.name!r} on a fanout exchange, with `wire = "celery"`,',
            instead="Have workers of Celery consume it.",
            section="mixed-fleets",
        )
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1)
        queue(connection.default_channel).declare()


def passing_errors(app: Celery) -> tuple[type[Exception], ...]:
    """Return the errors of kombu's transport for a broker that is away."""
    errors: tuple[Any, ...] = app.connection_for_write().connection_errors
    return tuple(
        error for error in errors if error is not KeyError
    )  # kombu counts races of its own among them


def _refused(component: PubSub | State) -> UnsupportedError:
    return unsupported(
        f'`wire = "celery"` with the component {component.name!r} on {component.place}',
        instead="Put `pubsub` and `state` on one Redis server (no cluster, no Sentinels), or remove `wire`.",
        section="mixed-fleets",
    )


def _verified(address: str) -> str:
    """Return a TLS address that says whether the certificate is verified: Celery's backend asks for it."""
    parts = urlsplit(address)
    query = dict(parse_qsl(parts.query))
    query.setdefault("ssl_cert_reqs", "required")
    return parts._replace(query=urlencode(query)).geturl()
