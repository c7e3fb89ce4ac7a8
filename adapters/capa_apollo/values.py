"""`value` and `apollo_json_value`: configuration values as attributes, parameters and calls of setters."""

from __future__ import annotations

import functools
import inspect
import threading
import typing
import weakref
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import wrapt

from capa_apollo._convert import converter
from capa_apollo._forks import renew_locks_after_fork
from capa_apollo._sources import Resolved
from capa_core import default_runtime
from capa_core.errors import InvalidArgumentError

P = ParamSpec("P")
T = TypeVar("T")

_UNKNOWN = object()


class Value:
    """A configuration value that is always the newest: a descriptor, a decorator, or by itself with `get`.

    Args:
        expression: Text with placeholders, such as `${timeout:100}`, `${a.${b}}`, `${a:${b:1}}`, `${host}:${port}`.
        kind: The type to convert to; by default the annotation of the attribute, else text.
    """

    def __init__(self, expression: str, kind: Any = _UNKNOWN, *, is_json: bool = False) -> None:
        self.expression = expression
        self._kind = kind
        self._is_json = is_json
        self._label = f"{expression!r}"
        self._annotation: Callable[[], Any] | None = None
        self._resolved = Resolved(expression, self._finish)

    def get(self) -> Any:
        """Return the value.

        Raises:
            InvalidArgumentError: There is neither a value nor a default, or it does not fit. At a later change the
                value before stays, and the error is logged.
        """
        return self._resolved.get()

    def __set_name__(self, owner: type, name: str) -> None:
        self._label = f"{owner.__qualname__}.{name} = {self.expression!r}"
        self._annotation = functools.partial(_annotation_of, owner, name)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        # The body of Live.get, without the call: values are read very often.
        live = self._resolved
        if default_runtime() is live._runtime:
            return live._value
        return live.get()

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """Decorate a function or method of one parameter: see `value`."""
        names = _parameters(function)
        if len(names) != 1:
            raise InvalidArgumentError(
                f"{function.__qualname__} has the parameters ({', '.join(names)}); with one expression it must have "
                "one. For several write @value(name='${…}', …)"
            )
        return Injected(function, {names[0]: self.for_parameter(function, names[0])})

    def for_parameter(self, function: Callable[..., Any], name: str) -> Value:
        """Return this value with the annotation of a parameter as its type, unless a type was given."""
        own = type(self)(self.expression, self._kind, is_json=self._is_json)
        own._label = f"{function.__qualname__}({name}) = {self.expression!r}"
        own._annotation = lambda: typing.get_type_hints(function, include_extras=True).get(name, str)
        return own

    def follow(self, follower: Callable[[Any], object]) -> None:
        """Call *follower* with the new value after each change, except where no value can be computed."""
        self._resolved.after(follower)

    def _finish(self, resolved: object) -> Any:
        kind = self._kind
        if kind is _UNKNOWN:
            kind = self._annotation() if self._annotation is not None else str
        if isinstance(resolved, str):
            return converter(kind, is_json=self._is_json)(resolved, self._label)
        from capa_apollo._convert import validated

        return resolved if kind in (str, Any) else validated(resolved, kind, self._label)


def value(expression: str = "", kind: Any = _UNKNOWN, /, **parameters: str) -> Any:
    """Give the value of an expression with placeholders to an attribute, a function or a setter; live.

        class Orders:
            timeout_s: float = value("${orders.timeout:2.5}")      # converted by the annotation

            @value("${orders.batch:50}")                             # called after __init__, and at each change
            def resize(self, batch: int): ...

        @value(retries="${http.retries:3}", host="${http.host}")    # given when the caller leaves them out
        def fetch(path, *, retries: int, host: str): ...

    A change of any of the keys resolves the whole expression again. A value that then does not fit is logged, and the
    one before stays.

    Args:
        expression: For an attribute, a setter (a method of one parameter), or a function of one parameter.
        kind: The type of an attribute, if there is no annotation.
        parameters: For a function: parameter → expression.

    Raises:
        InvalidArgumentError: When read: there is neither a value nor a default, or it does not fit the type.
    """
    if parameters:
        return functools.partial(_injecting, parameters)
    return Value(expression, kind)


def apollo_json_value(expression: str, kind: Any = _UNKNOWN, /) -> Value:
    """Do as `value` does with JSON, read into the annotated type, such as `list[dict[str, int]]` or a dataclass.

    Raises:
        InvalidArgumentError: When read: as for `value`, or the text is not JSON.
    """
    return Value(expression, kind, is_json=True)


def inject(function: Callable[P, T]) -> Callable[P, T]:
    """Give each parameter whose default is `value(…)` or `apollo_json_value(…)` its present value at each call.

    @inject
    def fetch(path, retries: int = value("${http.retries:3}")): ...
    """
    parameters = inspect.signature(function).parameters
    values = {name: one.default for name, one in parameters.items() if isinstance(one.default, Value)}
    given = {name: each.for_parameter(function, name) for name, each in values.items()}
    return Injected(function, given)


def _injecting(parameters: dict[str, str], function: Callable[P, T]) -> Callable[P, T]:
    if unknown := parameters.keys() - set(_parameters(function)):
        raise InvalidArgumentError(f"{function.__qualname__} has no parameter {', '.join(sorted(unknown))}")
    given = {name: Value(text).for_parameter(function, name) for name, text in parameters.items()}
    return Injected(function, given)


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
        parameters = _parameters(self.__wrapped__)
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


def _annotation_of(owner: type, name: str) -> Any:
    return typing.get_type_hints(owner, include_extras=True).get(name, str)


def _parameters(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


def _positional(function: Callable[..., Any]) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [name for name, one in inspect.signature(function).parameters.items() if one.kind in kinds]
