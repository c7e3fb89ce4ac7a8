"""Policies that an operator has set on the queues of topics: AMQP tells of none, the broker's management does.

Source: https://www.rabbitmq.com/docs/parameters#policies
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.parse import quote

from capa_core.components.rabbitmq._errors import RefusedError
from capa_core.components.rabbitmq._settings import RabbitSettings
from capa_core.driver import Risk
from capa_core.errors import PermissionDeniedError, SettingsError, UnavailableError
from capa_core.http import Answer, Endpoint

_COLUMNS = "name,policy,operator_policy,effective_policy_definition,arguments"
_MOST_BYTES = 64 * 1024**2
_REFUSALS = (401, 403)
_KINDS = ("group", "kept", "delay", "index", "topics")
"""Those of `Names` that hold what may not be lost."""
_NAMED = 3


@dataclass(frozen=True, slots=True)
class _Request:
    path: str
    headers: tuple[tuple[str, str], ...]
    verb: str = "GET"
    body: bytes = b""


class _Queue(NamedTuple):
    """A queue of this component.

    Attributes:
        kind: The part of its name behind the prefix, such as `group`.
        policies: The names of the policies that match it.
        set_: The settings that they give it.
        own: The arguments that it was declared with. Of a number, the lower one counts; else its own.
    """

    name: str
    kind: str
    policies: tuple[str, ...]
    set_: Mapping[str, Any]
    own: Mapping[str, Any]

    @property
    def drops(self) -> bool:
        """Whether a full queue drops its oldest messages, and does not refuse new ones."""
        return str(self.own.get("x-overflow") or self.set_.get("overflow", "drop-head")) == "drop-head"

    @property
    def leads_elsewhere(self) -> str:
        """Where a dropped message goes by a policy, in words; `""` for nowhere."""
        exchange = "" if "x-dead-letter-exchange" in self.own else self.set_.get("dead-letter-exchange", "")
        return f", which go to the exchange {exchange!r}" if exchange else ""


class _Loss(NamedTuple):
    """The loss that one setting of a policy brings; *event* and *loses* are completed with its value and the queues."""

    setting: str
    holds: Callable[[_Queue], bool]
    event: str
    loses: str


def _always(_queue: _Queue) -> bool:
    return True


def _is_group(queue: _Queue) -> bool:
    return queue.kind == "group" and queue.set_["delivery-limit"] >= 0


def _hurries(queue: _Queue) -> bool:
    return queue.kind == "delay" and queue.set_["message-ttl"] < queue.own.get("x-message-ttl", 0)


_LOSSES = (
    _Loss(
        "message-ttl",
        lambda queue: queue.kind != "delay",
        "a wait of more than {value:,} ms",
        "messages of {queues}",
    ),
    _Loss(
        "message-ttl",
        _hurries,
        "a delay of more than {value:,} ms",
        "the rest of that delay of messages of {queues}",
    ),
    _Loss(
        "expires",
        _always,
        "a time of {value:,} ms without a consumer",
        "{queues}, with all messages",
    ),
    _Loss(
        "max-length",
        lambda queue: queue.drops,
        "a backlog of more than {value:,} messages",
        "the oldest of {queues}",
    ),
    _Loss(
        "max-length-bytes",
        lambda queue: queue.drops,
        "a backlog of more than {value:,} bytes",
        "the oldest of {queues}",
    ),
    _Loss(
        "delivery-limit",
        _is_group,
        "lost lease number {value:,} + 1 of a message",
        "that message of {queues}",
    ),
)


def risks(settings: RabbitSettings) -> Iterator[Risk]:
    """Yield the risks of the policies that match the queues of a component.

    The broker gathers what it tells every few seconds: a policy that is new is not seen before.

    Raises:
        RefusedError: The management does not answer, or refuses the user.
    """
    matched = [queue for queue in _queues(settings) if queue.set_]
    for loss in _LOSSES:
        yield from _of(loss, matched, settings.prefix)


def _of(loss: _Loss, queues: list[_Queue], prefix: str) -> Iterator[Risk]:
    """Yield *loss* once for each of its values, with the queues that have it by the same policies."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for queue in queues:
        if loss.setting in queue.set_ and loss.holds(queue):
            key = (queue.set_[loss.setting], queue.policies, queue.leads_elsewhere)
            found.setdefault(key, []).append(queue.name)
    for (value, policies, elsewhere), names in found.items():
        yield Risk(
            loss.event.format(value=value),
            f"{loss.loses.format(queues=_named(names))}{elsewhere}",
            f"Take `{loss.setting}` out of {' or '.join(policies)}, or let its pattern leave out {prefix!r}.",
        )


def _queues(settings: RabbitSettings) -> list[_Queue]:
    there = sorted(_listed(settings), key=lambda each: str(each["name"]))
    ours = (each for each in there if str(each["name"]).startswith(settings.prefix))
    found = (_queue(each, settings.prefix) for each in ours)
    return [queue for queue in found if queue.kind in _KINDS]


def _queue(told: Mapping[str, Any], prefix: str) -> _Queue:
    kinds = {"policy": "the policy", "operator_policy": "the operator policy"}
    policies = tuple(f"{words} {told[kind]!r}" for kind, words in kinds.items() if told.get(kind))
    name = str(told["name"])
    kind = name.removeprefix(prefix).partition(".")[0]
    # No settings are an empty list in some versions.
    return _Queue(
        name, kind, policies, told.get("effective_policy_definition") or {}, told.get("arguments") or {}
    )


def _listed(settings: RabbitSettings) -> list[dict[str, Any]]:
    """Return what the management tells of the queues of the virtual host."""
    to = settings.parameters()[0]
    user, password = getattr(to.credentials, "username", ""), getattr(to.credentials, "password", "")
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    path = f"/api/queues/{quote(to.virtual_host, safe='')}?columns={_COLUMNS}"
    answer = _answer(settings, _Request(path, (("Authorization", f"Basic {credentials}"),)))
    if answer.status in _REFUSALS:
        raise RefusedError(
            PermissionDeniedError,
            f"the management of RabbitMQ at {settings.management_url} refuses the user {user!r}, who needs a tag for"
            f" it: `rabbitmqctl set_user_tags {user} management`.",
        )
    try:
        return [dict(each) for each in json.loads(answer.body)]
    except (ValueError, TypeError) as error:
        raise _silent(settings, f"it answers with status {answer.status}, and no list of queues") from error


def _answer(settings: RabbitSettings, request: _Request) -> Answer:
    try:
        endpoint = Endpoint(settings.management_url, verify=True, size=0)
        return endpoint.exchange(request, time.monotonic() + settings.timeout_s, most_bytes=_MOST_BYTES)
    except (OSError, HTTPException, SettingsError) as error:
        raise _silent(settings, str(error)) from error


def _silent(settings: RabbitSettings, cause: str) -> RefusedError:
    return RefusedError(
        UnavailableError,
        f"the management of RabbitMQ at {settings.management_url} does not tell the policies: {cause}. Correct"
        " `management_url`, or remove it.",
    )


def _named(queues: list[str]) -> str:
    shown = ", ".join(map(repr, queues[:_NAMED]))
    more = f" and {len(queues) - _NAMED} more" if len(queues) > _NAMED else ""
    return f"the queues {shown}{more}"
