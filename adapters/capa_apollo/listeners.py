"""`config_change_listener`: functions and methods that are called for changes."""

from __future__ import annotations

import asyncio
import inspect
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import wrapt

from capa_apollo._sources import plain
from capa_apollo.config import ChangeListener, ConfigChangeEvent, subscribe
from capa_core import default_runtime
from capa_core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from capa_core.blocks.configuration import Subscription
    from capa_core.runtime import Runtime

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])

Texts = str | Iterable[str]


def config_change_listener(
    namespace: Texts = "application",
    *,
    interested_keys: Texts = (),
    interested_key_prefixes: Texts = (),
    app_id: str = "",
) -> Callable[[FunctionT], FunctionT]:
    """Call a function, or a method of each living instance, with a `ConfigChangeEvent` for each change.

        @config_change_listener("application", interested_key_prefixes="db.")
        def reconnect(event): ...

    A function listens from its decoration on; a method from the end of `__init__` on, as long as its instance lives.
    `async def` is run in a loop of its own. In another runtime functions listen when `listen` is called there.

    Args:
        namespace: One or several: a list, or names separated by commas; placeholders are resolved.
        interested_keys: Only changes of these, or of keys that begin with a prefix; the event still has all changes.
        interested_key_prefixes: See *interested_keys*; without both, every change counts.

    Raises:
        InvalidArgumentError: At decoration: the function does not take exactly one argument besides `self`.
    """
    wanted = _Wanted(namespace, interested_keys, interested_key_prefixes, app_id)

    def decorate(function: FunctionT) -> FunctionT:
        names = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
        if len(names) != 1:
            raise InvalidArgumentError(
                f"{function.__qualname__}({', '.join(names)}) must take one argument, the event"
            )
        if "self" in inspect.signature(function).parameters:
            return _Method(function, wanted)  # type: ignore[return-value]
        with _lock:
            _functions.setdefault(function, []).append(wanted)
            _listening.setdefault(default_runtime(), weakref.WeakSet()).add(wanted)
        wanted.subscribe(_called(function))  # this one alone: another's mistake must not fail here
        return function

    return decorate


def listen() -> None:
    """Register every decorated function in the default runtime; those that are registered already stay unchanged.

    Raises:
        InvalidArgumentError: A placeholder of one has no value. The others are registered; call again for this one.
    """
    with _lock:
        done = _listening.setdefault(default_runtime(), weakref.WeakSet())
        new = [
            (function, one) for function, wanted in _functions.items() for one in wanted if one not in done
        ]
        done.update(one for _, one in new)
    failures = []
    for function, one in new:
        try:
            one.subscribe(_called(function))
        except InvalidArgumentError as error:
            done.discard(one)
            failures.append(error)
    if failures:
        raise failures[0]


class _Wanted:
    """The arguments of one decorator."""

    def __init__(self, namespace: Texts, keys: Texts, prefixes: Texts, app_id: str) -> None:
        self._texts = (namespace, keys, prefixes)
        self._app_id = app_id

    def subscribe(self, listener: ChangeListener) -> list[Subscription]:
        runtime = default_runtime()
        namespaces, keys, prefixes = (_split(texts, runtime) for texts in self._texts)
        return [subscribe(listener, name, self._app_id, keys, prefixes) for name in namespaces]


class _Method:
    """A decorated method until its class is made; then the method itself replaces it."""

    def __init__(self, function: Callable[..., object], wanted: _Wanted) -> None:
        self._function = function
        self._wanted = wanted

    def __set_name__(self, owner: type, name: str) -> None:
        setattr(owner, name, self._function)

        def initialise(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            wrapped(*args, **kwargs)
            for subscription in self._wanted.subscribe(_called(weakref.WeakMethod(getattr(instance, name)))):
                weakref.finalize(instance, subscription.close)

        wrapt.wrap_function_wrapper(owner, "__init__", initialise)


def _called(listener: Any) -> ChangeListener:
    def notify(event: ConfigChangeEvent) -> None:
        function = listener() if isinstance(listener, weakref.WeakMethod) else listener
        if function is None:
            return
        result = function(event)
        if inspect.iscoroutine(result):
            asyncio.run(result)

    return notify


def _split(texts: Texts, runtime: Runtime) -> list[str]:
    several = [texts] if isinstance(texts, str) else texts
    return [part.strip() for text in several for part in plain(text, runtime).split(",") if part.strip()]


_lock = threading.Lock()
_functions: weakref.WeakKeyDictionary[Callable[..., object], list[_Wanted]] = weakref.WeakKeyDictionary()
_listening: weakref.WeakKeyDictionary[Runtime, weakref.WeakSet[_Wanted]] = weakref.WeakKeyDictionary()
