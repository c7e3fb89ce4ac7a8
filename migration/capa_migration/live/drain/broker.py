"""The two ends of a drain: a broker of Celery's by its address, and the component that serves the application now."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from capa_core import Runtime, use_runtime
from capa_core.blocks.pubsub import in_layout
from capa_core.engine import scheme_of
from capa_core.errors import SettingsError
from capa_core.shims import logical_name
from capa_core.shims.backlog import Read, backlog_reader
from capa_migration.errors import OptionsError

if TYPE_CHECKING:
    from capa_core import PubSub, State

ADAPTER, PACKAGE, NAME = "celery", "capa_celery", "celery"
"""The adapter, its package, and the logical name of its queues where no legacy address names another."""
LAYOUT = "celery-backlog"
_SERVED = {"redis": "redis", "rediss": "redis", "amqp": "rabbitmq", "amqps": "rabbitmq"}
"""The drivers that have the layout, by the schemes of their addresses."""
_SOURCE = "broker"


@dataclass(frozen=True, slots=True)
class Ends:
    """A broker and the component that its messages go to.

    Attributes:
        source: The queues of the broker, in Celery's layout.
        scheme: Of the broker's address, by which Celery reads priorities.
        read: The reader of its messages.
        target: The pub/sub component of the application.
        state: The state component of the application, which knows ids; `None` where *target* itself does.
        mark: The target as one text, whatever it is called.
    """

    source: PubSub
    scheme: str
    read: Read
    target: PubSub
    state: State | None
    mark: str


@contextmanager
def opened(address: str, options: Mapping[str, Any], profile: str | None) -> Iterator[Ends]:
    """Yield the two ends, for the length of a `with` block; nothing is connected to.

    Args:
        address: Of the broker, as in `broker_url`.
        options: As in `broker_transport_options`, of the application.
        profile: Of capa.toml.

    Raises:
        OptionsError: The address is none of a broker that can be read, or no worker would read what is moved.
        SettingsError: capa.toml, or one of *options*, is wrong.
        MissingExtraError: Celery, or the library of an engine, is not installed.
    """
    driver, url = _driver_and_url(address)
    read = backlog_reader(PACKAGE)
    source_tree = {"pubsub": {_SOURCE: {"driver": driver, "url": url}}}
    with (
        Runtime(profile=profile) as runtime,
        Runtime(source_tree, file=os.devnull, environ={}, reports=False) as legacy,
    ):
        _check_readers(runtime)
        name = _name(runtime, address)
        target = runtime.pubsub(name)
        mark = target.address or f"{runtime.loaded.where()} {runtime.loaded.profile}"
        try:
            source = in_layout(legacy.pubsub(_SOURCE), LAYOUT, options)
        except SettingsError as error:
            raise OptionsError(f"the address or an --option of the broker is wrong: {error}") from error
        state = None if target.limits.max_once_s else runtime.state(name)
        yield Ends(source, urlsplit(url).scheme, read, target, state, f"{mark} {name}")


def _driver_and_url(address: str) -> tuple[str, str]:
    scheme, separator, rest = address.partition("://")
    known = scheme_of(scheme.lower())
    canonical = known[1].name if known else ""
    driver = _SERVED.get(canonical)
    if not separator or driver is None or ";" in address:
        raise OptionsError(
            "the address of the broker must begin with"
            f" {', '.join(f'{one}://' for one in _SERVED)} and be one address, as in broker_url; nothing was moved"
        )
    host, slash, path = rest.partition("/")
    if path.startswith("/"):  # kombu's way to write the virtual host `/`
        path = f"%2F{path[1:]}"
    return driver, f"{canonical}://{host}{slash}{path}"


def _name(runtime: Runtime, address: str) -> str:
    with use_runtime(runtime):
        return logical_name("pubsub", address) or NAME


def _check_readers(runtime: Runtime) -> None:
    """Check that workers which start with this capa.toml read Capa's own queues.

    Raises:
        OptionsError: They read those of Celery.
    """
    table = runtime.loaded.settings.adapters.get(ADAPTER) or {}
    for key, value in (("wire", "celery"), ("side", "legacy")):
        if table.get(key) == value:
            raise OptionsError(
                f"workers with this capa.toml read Celery's own queues, since [adapters.{ADAPTER}] has"
                f' {key} = "{value}" ({runtime.loaded.origin("adapters", ADAPTER, key)}): what is moved would wait for'
                " nobody. Remove it, or give the --profile of the workers that are to do the tasks. Nothing was moved"
            )
