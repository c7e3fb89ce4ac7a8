"""Fast path of a plain `delay()`: the steps of the original's `send_task` without its checks.

The original's `send_task` runs instead for every call with more options than a queue or a priority, inside a running
task (whose children and root must be kept), and wherever the original's function, message or protocol has been
replaced.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from celery import Celery as CeleryApp
from celery.app import amqp, base
from celery.utils import uuid
from celery.utils.nodenames import anon_nodename
from celery.utils.saferepr import saferepr

from capa_celery._backend import CapaBackend

if TYPE_CHECKING:
    from capa_celery._app import Celery

SPECIAL_OPTIONS = frozenset(
    [
        "countdown",
        "eta",
        "connection",
        "router",
        "expires",
        "publisher",
        "add_to_parent",
        "group_id",
        "group_index",
        "retries",
        "chord",
        "reply_to",
        "time_limit",
        "soft_time_limit",
        "root_id",
        "parent_id",
        "route_name",
        "chain",
        "replaced_task_nesting",
        "stamped_headers",
        "link",
        "link_error",
        "argsrepr",
        "kwargsrepr",
        "origin",
        "now",
        "timezone",
    ]
)
NUMBERS = frozenset({int, float, bool, type(None)})
MAX_PLAIN = 30
REPR_LEVELS = 3
"""The default of `saferepr`; with another `task_repr_maxlevels` the original sends."""


def is_available(app: Celery) -> bool:
    """Return whether *app* makes and sends plain messages in the original's way."""
    conf = app.conf
    return (
        conf.task_protocol == 2
        and not conf.task_send_sent_event
        and (conf.get("task_repr_maxlevels") or REPR_LEVELS) == REPR_LEVELS
        and type(app.amqp).as_task_v2 is amqp.AMQP.as_task_v2
        and getattr(CeleryApp.send_task, "__code__", None) is not None
        and CeleryApp.send_task.__code__.co_filename == base.__file__
    )


def accepts(options: dict[str, Any]) -> bool:
    """Return whether a call with *options* is plain: it comes from `Task.apply_async` and sets no special option."""
    if options.get("task_type") is None:
        return False
    return all(options[name] is None for name in SPECIAL_OPTIONS & options.keys())


def send(app: Celery, name: str, args: Any, kwargs: Any, options: dict[str, Any]) -> Any:
    """Send the task and return its result object, as `Celery.send_task` does.

    Raises:
        TypeError: The arguments are no sequence and mapping.
    """
    args, kwargs = args or (), kwargs or {}
    if not isinstance(args, list | tuple):
        raise TypeError("task args must be a list or tuple")
    if not isinstance(kwargs, Mapping):
        raise TypeError("task keyword arguments must be a mapping")
    options = {key: value for key, value in options.items() if key not in SPECIAL_OPTIONS}
    sending = app.amqp
    task_id = options.pop("task_id", None) or uuid()
    ignored = options.pop("ignore_result", None)
    result_cls = options.pop("result_cls", None)
    shadow, producer = options.pop("shadow", None), options.pop("producer", None)
    options = sending.router.route(options, name, args, kwargs, options.pop("task_type"))
    headers = {
        "lang": "py",
        "task": name,
        "id": task_id,
        "shadow": shadow,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": task_id,
        "parent_id": None,
        "argsrepr": _shown(args, args, sending.argsrepr_maxsize),
        "kwargsrepr": _shown(kwargs, kwargs.values(), sending.kwargsrepr_maxsize),
        "origin": _origin(os.getpid()),
        "ignore_result": ignored,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
    body = (args, kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None})
    properties = {"correlation_id": task_id, "reply_to": app.thread_oid}
    if not ignored and type(app.backend) is not CapaBackend:
        app.backend.on_task_call(producer or app.own_producer, task_id)
    sending.send_task_message(producer, name, amqp.task_message(headers, properties, body, None), **options)
    result = (result_cls or app.AsyncResult)(task_id)
    result.ignored = ignored
    return result


def _shown(whole: Any, values: Iterable[Any], longest: int) -> str:
    """Return the text that `saferepr` gives for arguments; for a few numbers and plain words `repr` gives the same."""
    plain = len(whole) < MAX_PLAIN and all(
        type(value) in NUMBERS or (type(value) is str and len(value) < MAX_PLAIN and value.isalnum())
        for value in values
    )
    return repr(whole) if plain else str(saferepr(whole, longest))


@lru_cache(maxsize=1)
def _origin(_pid: int) -> str:
    """Return the name of this process; called with its id, since a fork has another."""
    return str(anon_nodename())
