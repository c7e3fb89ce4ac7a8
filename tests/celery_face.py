"""The public methods of the installed Celery, an object to call each on, and a value for each argument."""

import datetime as dt
import heapq
import inspect
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, NamedTuple

import celery.beat
import celery.result
from celery import Celery, Task, canvas, signals, states
from celery.app.control import Control, Inspect
from celery.schedules import schedule

import capa_celery
from capa_celery._beat import Scheduler as CapaScheduler

Make = Callable[[Any], Any]
"""Makes an object or a value for an application of either side."""


def results(app: Any) -> list[Any]:
    """Return the results of two tasks that have ended."""
    for number in range(2):
        app.backend.store_result(f"ready-{number}", number, states.SUCCESS)
    return [app.AsyncResult(f"ready-{number}") for number in range(2)]


def group_result(app: Any) -> Any:
    """Return the result of a group that has ended, and that is saved."""
    made = app.GroupResult("group-1", results(app))
    made.save()
    return made


def part(app: Any, *args: int) -> Any:
    """Return a signature of a task that adds two numbers."""
    return app.signature("add", args=args, app=app)


def total(app: Any) -> Any:
    """Return the signature of the body of a chord."""
    return app.signature("total", app=app)


def parts(app: Any) -> list[Any]:
    """Return whole signatures."""
    return [part(app, 1, 2), part(app, 3, 4)]


def scheduler_class(app: Any) -> type:
    """Return the class of beat's scheduler."""
    return CapaScheduler if isinstance(app, capa_celery.Celery) else celery.beat.Scheduler


def scheduler(app: Any) -> Any:
    """Return beat's scheduler, with one entry that is not due."""
    made = scheduler_class(app)(app=app, max_interval=5)  # Capa's looks at its lock each ten seconds
    made.add(name="each", task="add", schedule=schedule(3600.0, app=app), args=(1, 2))
    return made


def entry(app: Any) -> Any:
    """Return an entry of a schedule."""
    return celery.beat.ScheduleEntry("each", "add", schedule=schedule(3600.0, app=app), args=(1, 2), app=app)


KINDS: dict[str, tuple[type, Make]] = {
    "celery.Celery": (Celery, lambda app: app),
    "celery.app.task.Task": (Task, lambda app: app.tasks["add"]),
    "celery.result.AsyncResult": (celery.result.AsyncResult, lambda app: results(app)[0]),
    "celery.result.ResultSet": (celery.result.ResultSet, lambda app: app.ResultSet(results(app), app=app)),
    "celery.result.GroupResult": (celery.result.GroupResult, group_result),
    "celery.result.EagerResult": (celery.result.EagerResult, lambda app: app.tasks["add"].apply((1, 2))),
    "celery.canvas.Signature": (canvas.Signature, lambda app: part(app, 1, 2)),
    "celery.canvas.chain": (canvas._chain, lambda app: canvas._chain(part(app, 1, 2), part(app, 3), app=app)),
    "celery.canvas.group": (canvas.group, lambda app: canvas.group(parts(app), app=app)),
    "celery.canvas.chord": (canvas._chord, lambda app: canvas._chord(parts(app), total(app), app=app)),
    "celery.canvas.chunks": (canvas.chunks, lambda app: app.tasks["add"].chunks([(1, 1), (2, 2)], 1)),
    "celery.canvas.xmap": (canvas._basemap, lambda app: app.tasks["total"].map([[1, 2], [3]])),
    "celery.app.control.Control": (Control, lambda app: app.control.purge() * 0 or app.control),
    "celery.app.control.Inspect": (Inspect, lambda app: app.control.inspect()),
    "celery.beat.Scheduler": (celery.beat.Scheduler, scheduler),
}


class Method(NamedTuple):
    """A public method of Celery, by the names of its class and its own."""

    kind: str
    name: str

    @property
    def path(self) -> str:
        """Return the name by which an import map knows it."""
        return self.kind if self.name == "__init__" else f"{self.kind}.{self.name}"

    @property
    def parameters(self) -> list[inspect.Parameter]:
        """Its arguments that have a name."""
        function = vars(KINDS[self.kind][0])[self.name]
        every = inspect.signature(getattr(function, "__func__", function)).parameters.values()
        named = (one for one in every if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD))
        return [one for one in named if one.name not in ("self", "cls")]


def methods() -> Iterator[Method]:
    """Yield each method that a class defines itself."""
    for kind, (owner, _) in KINDS.items():
        for name, function in vars(owner).items():
            shown = not name.startswith("_") or name in ("__init__", "__call__")
            if shown and isinstance(getattr(function, "__func__", function), FunctionType):
                yield Method(kind, name)


class Visitor(canvas.StampingVisitor):  # type: ignore[misc] # celery is not typed
    """A stamp for each signature."""

    def on_signature(self, sig: Any, **_: Any) -> dict[str, Any]:
        """Return the stamp."""
        return {"tenant": "t1"}


ETA = dt.datetime(2035, 1, 1, tzinfo=dt.UTC)
FAILURE = ValueError("no")
REQUEST = {
    "id": "task-1",
    "args": (1, 2),
    "kwargs": {},
    "retries": 0,
    "delivery_info": {},
    "is_eager": False,
    "called_directly": False,
    "hostname": "here",
}


def always(value: Any) -> Make:
    """Return what makes *value* for each application."""
    return lambda _app: value


def request(app: Any) -> Any:
    """Return the context of a task that runs."""
    return celery.app.task.Context(REQUEST)


SPECIAL: dict[str, Make] = {
    "celery.Celery.add_defaults.fun": always({"task_serializer": "pickle"}),
    "celery.Celery.subclass_with_self.Class": always(celery.beat.Service),
    "celery.Celery.subclass_with_self.name": always("Named"),
    "celery.Celery.start.argv": always(["--version"]),
    "celery.Celery.worker_main.argv": always(["worker", "--help"]),
    "celery.Celery.config_from_cmdline.argv": always(["task_serializer=pickle"]),
    "celery.Celery.config_from_cmdline.namespace": always("celery"),
    "celery.Celery.config_from_object.namespace": always("CELERY"),
    "celery.Celery.namespace": always("CELERY"),
    "celery.Celery.tasks": always(None),
    "celery.Celery.register_task.task": lambda app: type(
        "Own", (Task,), {"name": "own", "run": lambda _: 3}
    )(),
    "celery.Celery.add_periodic_task.schedule": always(30.0),
    "celery.Celery.send_task.name": always("add"),
    "celery.Celery.send_task.chord": total,
    "celery.Celery.send_task.chain": lambda app: [part(app, 3)],
    "celery.app.task.Task.chunks.it": always([(1, 2), (3, 4)]),
    "celery.app.task.Task.starmap.it": always([(1, 2), (3, 4)]),
    "celery.app.task.Task.AsyncResult.task_id": always("ready-0"),
    "celery.result.EagerResult.state": always(states.SUCCESS),
    "celery.result.AsyncResult.parent": lambda app: app.AsyncResult("parent-1"),
    "celery.result.GroupResult.parent": lambda app: app.AsyncResult("parent-1"),
    "celery.result.ResultSet.add.result": lambda app: app.AsyncResult("other-1"),
    "celery.result.GroupResult.restore.id": always("group-1"),
    "celery.canvas.Signature.task": always("add"),
    "celery.canvas.Signature.type": lambda app: app.tasks["add"],
    "celery.canvas.Signature.options": always({"queue": "other"}),
    "celery.canvas.Signature.replace.options": always({"queue": "other"}),
    "celery.canvas.Signature.from_dict.d": lambda app: dict(part(app, 1, 2)),
    "celery.canvas.chain.from_dict.d": lambda app: dict(
        canvas._chain(part(app, 1, 2), part(app, 3), app=app)
    ),
    "celery.canvas.group.from_dict.d": lambda app: dict(canvas.group(parts(app), app=app)),
    "celery.canvas.chord.from_dict.d": lambda app: dict(canvas._chord(parts(app), total(app), app=app)),
    "celery.canvas.chunks.from_dict.d": lambda app: dict(app.tasks["add"].chunks([(1, 1)], 1)),
    "celery.canvas.chord.task": always("celery.chord"),
    "celery.canvas.chord.run.header": lambda app: canvas.group(parts(app), app=app),
    "celery.canvas.xmap.from_dict.d": lambda app: dict(app.tasks["total"].map([[1, 2]])),
    "celery.canvas.xmap.task": lambda app: app.tasks["total"],
    "celery.canvas.xmap.it": always([[1, 2], [3]]),
    "celery.canvas.chunks.task": lambda app: app.tasks["add"],
    "celery.canvas.chunks.it": always([(1, 2), (3, 4)]),
    "celery.canvas.chunks.apply_chunks.task": lambda app: app.tasks["add"],
    "celery.canvas.chunks.apply_chunks.it": always([(1, 2), (3, 4)]),
    "celery.beat.Scheduler.schedule": lambda app: {"each": entry(app)},
    "celery.beat.Scheduler.tick.min": always(min),
    "celery.beat.Scheduler.Producer": always(None),
    "celery.app.control.Control.autoscale.min": always(1),
    "celery.canvas.Signature.link_error.errback": lambda app: part(app, 9),
}
"""Values of arguments whose name says too little."""

NAMED: dict[str, Make] = {
    **dict.fromkeys(("app",), lambda app: app),
    **dict.fromkeys(("args", "partial_args"), always((1, 2))),
    **dict.fromkeys(("kwargs", "partial_kwargs"), always({})),
    **dict.fromkeys(("callback", "on_message", "on_interval", "on_error"), always(lambda *_, **__: None)),
    **dict.fromkeys(("link", "link_error", "sig", "errback"), lambda app: part(app, 9)),
    **dict.fromkeys(("body", "chord", "chord_body"), total),
    **dict.fromkeys(("header", "tasks"), parts),
    **dict.fromkeys(("results",), results),
    **dict.fromkeys(("result",), lambda app: results(app)[0]),
    **dict.fromkeys(("parent_id", "root_id", "group_id", "_id", "last_task_id", "task_id", "id"), always("id-1")),
    **dict.fromkeys(("eta", "expires"), always(ETA)),
    **dict.fromkeys(("wait",), always(False)),  # there are no workers that could answer
    **dict.fromkeys(("countdown", "time_limit", "soft_time_limit"), always(7)),
    **dict.fromkeys(("timeout", "interval"), always(0.1)),
    **dict.fromkeys(("exc", "ret_value", "retval"), always(FAILURE)),
    **dict.fromkeys(("n", "index", "limit", "samples", "max_depth", "max", "start", "stop", "step"), always(2)),
    **dict.fromkeys(("soft", "hard", "drift", "group_index", "retries", "max_retries"), always(2)),
    **dict.fromkeys(("name", "task_name", "shadow", "queue", "routing_key", "exchange", "topic"), always("add")),
    **dict.fromkeys(("producer", "publisher", "connection", "channel", "pool", "router"), always(None)),
    **dict.fromkeys(("Producer", "loader", "backend", "amqp", "events", "log", "control"), always(None)),
    **dict.fromkeys(("broker",), always("memory://")),
    **dict.fromkeys(("entry",), entry),
    **dict.fromkeys(("request",), request),
    **dict.fromkeys(("visitor",), always(Visitor())),
    **dict.fromkeys(("it",), always([1, 2])),
    **dict.fromkeys(("d", "data", "dict_", "b", "meta", "options", "changes"), always({})),
    **dict.fromkeys(("headers",), always({"tenant": "t1"})),
    **dict.fromkeys(("old_schedules", "new_schedules"), lambda app: {"each": entry(app)}),
    **dict.fromkeys(("event_t",), always(celery.beat.event_t)),
    **dict.fromkeys(("heapify",), always(heapq.heapify)),
    **dict.fromkeys(("heappop",), always(heapq.heappop)),
    **dict.fromkeys(("heappush",), always(heapq.heappush)),
    **dict.fromkeys(("schedule",), lambda app: schedule(60.0, app=app)),
    **dict.fromkeys(("max_interval", "sync_every_tasks"), always(3)),
    **dict.fromkeys(("state", "status"), always("PROGRESS")),
    **dict.fromkeys(("einfo", "traceback", "formatter", "ready_barrier", "result_cls", "task_type"), always(None)),
    **dict.fromkeys(("EXCEPTION_STATES",), always(states.EXCEPTION_STATES)),
    **dict.fromkeys(("PROPAGATE_STATES",), always(states.PROPAGATE_STATES)),
    **dict.fromkeys(("obj", "config_source"), always({"task_serializer": "pickle"})),
    **dict.fromkeys(("variable_name",), always("NO_SUCH_VARIABLE")),
    **dict.fromkeys(("packages",), always([])),
    **dict.fromkeys(("related_name", "module", "attribute", "attr", "key", "default_key"), always("tasks")),
    **dict.fromkeys(("include", "fixups", "modules", "destination", "argv", "revoked"), always([])),
    **dict.fromkeys(("queues",), always(["celery"])),
    **dict.fromkeys(("value",), always(["one"])),
    **dict.fromkeys(("type", "type_", "command", "action", "from_node", "pattern"), always("task-x")),
    **dict.fromkeys(("signal", "rate_limit", "exchange_type", "matcher", "subtask_type"), always("direct")),
    **dict.fromkeys(("arguments", "retry_policy", "transport_options"), always({})),
    **dict.fromkeys(("hostname", "userid", "password", "virtual_host", "login_method", "url"), always(None)),
    **dict.fromkeys(("port", "ssl", "connect_timeout", "transport", "heartbeat"), always(None)),
    **dict.fromkeys(("failover_strategy", "key_password", "cert", "store", "digest"), always(None)),
    **dict.fromkeys(("allowed_serializers",), always(["json"])),
    **dict.fromkeys(("serializer",), always("json")),
    **dict.fromkeys(("reply_to",), always("reply-1")),
    **dict.fromkeys(("route_name",), always("add")),
    **dict.fromkeys(("fun", "around"), always(len)),
    **dict.fromkeys(("main",), always("renamed")),
    **dict.fromkeys(("task_cls",), always(Task)),
    **dict.fromkeys(("c",), always({})),
    **dict.fromkeys(("loglevel", "logfile"), always(None)),
    **dict.fromkeys(("replaced_task_nesting",), always(1)),
    **dict.fromkeys(("reloader",), always(len)),
    **dict.fromkeys(("header_delay",), always(0)),
    **dict.fromkeys(("consumer",), always(None)),
}  # fmt: skip
FLAGS = (
    *(
        "add_to_parent",
        "advance",
        "append_stamps",
        "auto",
        "autofinalize",
        "bound",
        "clone",
        "eager",
        "force",
        "lazy",
    ),
    *(
        "config_source_silent",
        "disable_sync_subtasks",
        "follow_parents",
        "from_dict",
        "immutable",
        "intermediate",
    ),
    *(
        "keep_reduce",
        "no_ack",
        "propagate",
        "reload",
        "reply",
        "retry",
        "reverse",
        "safe",
        "set_as_current",
        "silent",
    ),
    *("strict_typing", "terminate", "throw", "weak", "with_defaults"),
)


def values(method: Method, parameter: inspect.Parameter) -> list[Make]:
    """Return values for an argument; none if nothing is known of it, as for one that a later Celery adds."""
    special = SPECIAL.get(f"{method.path}.{parameter.name}")
    if special is not None:
        return [special]
    if parameter.name in FLAGS:
        return [always(True), always(False)]
    return [NAMED[parameter.name]] if parameter.name in NAMED else []


def messages(call: Callable[[], Any]) -> tuple[Any, list[Any]]:
    """Return the result of *call*, and what it published."""
    seen: list[Any] = []

    def note(sender: Any = None, **published: Any) -> None:
        seen.append((sender, {name: published.get(name) for name in PUBLISHED}))

    signals.before_task_publish.connect(note, weak=False)
    try:
        return call(), seen
    finally:
        signals.before_task_publish.disconnect(note)


PUBLISHED = ("headers", "body", "exchange", "routing_key", "properties", "retry_policy")
