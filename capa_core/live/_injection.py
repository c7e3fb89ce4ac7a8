"""Functions that get values for the arguments that a caller leaves out, and setters that are called at each change."""

from __future__ import annotations

import functools
import inspect
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import wrapt

from capa_core.forks import renew_locks_after_fork

if TYPE_CHECKING:
    from capa_core.live._values import Value


class Injected(wrapt.FunctionWrapper[Any, Any]):
    """A function that gets missing arguments filled in; in a class body, a method of one parameter is a setter."""

    def __init__(self, wrapped: Callable[..., Any], values: dict[str, Value]) -> None:
        super().__init__(wrapped, self._filled)
        self._self_values = values
        self._self_names = _positional(wrapped)

    def _filled(
        self, wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        given = self._self_names[: len(args) + (instance is not None)]
        for name, each in self._self_values.items():
            if name not in kwargs and name not in given:
                kwargs[name] = each.get()
        return wrapped(*args, **kwargs)

    def __set_name__(self, owner: type, name: str) -> None:
        parameters = parameters_of(self.__wrapped__)
        if parameters != list(self._self_values) or "self" not in self._self_names[:1]:
            return
        setattr(owner, name, self.__wrapped__)
        _Setter.of(owner).add(name, self._self_values[parameters[0]])


class _Setter:
    """Calls of the setters of one class on each instance: after `__init__`, and at each change while it lives."""

    _all: weakref.WeakKeyDictionary[type, _Setter] = weakref.WeakKeyDictionary()

    def __init__(self, owner: type) -> None:
        self._values: dict[str, Value] = {}
        self._instances: weakref.WeakValueDictionary[int, object] = weakref.WeakValueDictionary()
        renew_locks_after_fork(self)
        wrapt.wrap_function_wrapper(owner, "__init__", self._initialise)

    def make_locks(self) -> None:
        self._lock = threading.Lock()

    @classmethod
    def of(cls, owner: type) -> _Setter:
        found = cls._all.get(owner)
        if found is None:
            found = cls._all[owner] = cls(owner)
        return found

    def add(self, name: str, each: Value) -> None:
        self._values[name] = each
        each.follow(functools.partial(self._changed, name))

    def _initialise(
        self, wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        wrapped(*args, **kwargs)
        for name, each in self._values.items():
            getattr(instance, name)(each.get())
        with self._lock:
            self._instances[id(instance)] = instance

    def _changed(self, name: str, new: Any) -> None:
        with self._lock:
            instances = list(self._instances.values())
        for instance in instances:
            getattr(instance, name)(new)


def parameters_of(function: Callable[..., Any]) -> list[str]:
    """Return the names of the parameters of *function*, without `self` and `cls`."""
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


def _positional(function: Callable[..., Any]) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [name for name, one in inspect.signature(function).parameters.items() if one.kind in kinds]
