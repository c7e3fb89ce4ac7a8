"""Risks of a NATS server, by its own settings and those of its streams."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any

from capa_core.components.nats._errors import RefusedError
from capa_core.components.nats._names import LATER, Names
from capa_core.components.nats._settings import NatsSettings
from capa_core.components.nats._streams import NANOSECONDS, Streams, difference
from capa_core.driver import Risk
from capa_core.errors import UnavailableError
from capa_core.secret import without_credentials

_NAMED = 3
_LAZY = Risk(
    "a power cut, or a crash of the machine,",
    "what was acknowledged in the last {interval}",
    "Set `sync_interval: always` in the block `jetstream` of nats-server.conf, or have `replicas = 3`.",
)
_UNKNOWN = Risk(
    "a power cut, or a crash of the machine,",
    "what was acknowledged in the last two minutes, unless the server has `sync_interval: always`, "
    "which no client is told",
    "Set it in the block `jetstream` of nats-server.conf, and `monitor_url` here, so that it is looked at.",
)


def of_server(settings: NatsSettings) -> Iterator[Risk]:
    """Yield the risks of a server, by what its monitoring tells.

    Raises:
        RefusedError: The monitoring does not answer.
    """
    if not settings.monitor_url:
        yield _UNKNOWN
        return
    found = _jetstream(settings)
    if not found.get("sync_always"):
        interval = f"{found.get('sync_interval', 0) / NANOSECONDS:g} s"
        yield Risk(_LAZY.event, _LAZY.loses.format(interval=interval), _LAZY.remedy)


def _jetstream(settings: NatsSettings) -> dict[str, Any]:
    """Return the configuration of JetStream on the server."""
    address = f"{settings.monitor_url.rstrip('/')}/jsz?config=true"
    try:
        with urllib.request.urlopen(address, timeout=settings.timeout_s) as page:  # noqa: S310 - http, the settings check it
            return dict(json.load(page)["config"])
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise RefusedError(
            UnavailableError,
            f"the monitoring at {without_credentials(address)} does not tell the configuration of JetStream: {error}. "
            "Correct `monitor_url`, or remove it.",
        ) from error


def of_streams(streams: Streams, topics: Iterable[str]) -> Iterator[Risk]:
    """Yield the risks of the streams of *topics*."""
    seen: list[dict[str, Any]] = []
    for topic in sorted(topics):
        names = streams.names(topic)
        found = streams.info(names)
        if found is not None:
            seen.append(found)
            yield from _of_stream(found["config"], names)
            if streams.consumer(names, LATER) is None:
                yield Risk(
                    "their publishing",
                    f"delayed messages of {topic!r}: the stream {names.stream!r} has no consumer {LATER!r}",
                    "Start the application again, which makes it.",
                )
    yield from _on_one_server(seen)


def of_bucket(found: dict[str, Any] | None) -> Iterator[Risk]:
    """Yield the risks of a bucket, by what the server says of its stream; none if there is no bucket."""
    if found is not None:
        yield from _of_storage(found["config"])
        yield from _on_one_server([found])


def _of_stream(config: dict[str, Any], names: Names) -> Iterator[Risk]:
    yield from _of_storage(config)
    if problem := difference(config, names):
        yield Risk(
            "a full stream, or time,",
            f"messages of the stream {names.stream!r}: {problem}",
            "Correct it with `nats stream edit`.",
        )


def _of_storage(config: dict[str, Any]) -> Iterator[Risk]:
    if config.get("storage") == "memory":
        yield Risk(
            "a restart of the server",
            f"all messages of the stream {config['name']!r}, which is in memory",
            "Make it anew in a file.",
        )


def _on_one_server(found: list[dict[str, Any]]) -> Iterator[Risk]:
    """Yield the risk of those streams of a cluster that one of its servers has alone."""
    alone = [each["config"]["name"] for each in found if _is_alone(each)]
    if alone:
        shown = ", ".join(map(repr, alone[:_NAMED]))
        more = f" and {len(alone) - _NAMED} more" if len(alone) > _NAMED else ""
        yield Risk(
            "the loss of the server that has them, one of a cluster,",
            f"all messages of the streams {shown}{more}, of which no other server has a copy; none is received while it"
            " is away",
            "Run `nats stream edit NAME --replicas 3`, and set `replicas = 3` here for those that come.",
        )


def _is_alone(found: dict[str, Any]) -> bool:
    is_in_cluster = bool((found.get("cluster") or {}).get("name"))
    return is_in_cluster and found["config"].get("num_replicas", 1) == 1
