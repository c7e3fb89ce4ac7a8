"""`value` and `inject`: configuration values as attributes, parameters and calls of setters."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from capa_core.errors import InvalidArgumentError
from capa_core.live._convert import converter, validated
from capa_core.live._injection import Injected, parameters_of
from capa_core.live._live import Live, Source
from capa_core.live._placeholders import lookup_in, resolve_text
from capa_core.live._sources import GroupSource

if TYPE_CHECKING:
    from capa_core.runtime import Runtime

P = ParamSpec("P")
T = TypeVar("T")

_UNKNOWN = object()


class Values:
    """Values by key from one or more groups, for attributes, functions and setters.

        shop = Values("shop", "application")

        class Orders:
            timeout_s: float = shop.value("${orders.timeout:2.5}")

    Args:
        groups: Where keys are looked for, the strongest first; none means `application`.
        application: The owner of the groups; `""` for the component's own.
        label: The variant; a group that has none falls back to the unlabelled.
        component: The logical name of the configuration component.
    """

    def __init__(
        self, *groups: str, application: str = "", label: str = "", component: str = "default"
    ) -> None:
        self._groups = groups or ("application",)
        self._application = application
        self._label = label
        self._component = component

    @overload
    def value(self, expression: str, kind: Any = ..., /) -> Any: ...
    @overload
    def value(self, **parameters: str) -> Callable[[Callable[P, T]], Callable[P, T]]: ...
    def value(  # type: ignore[misc]  # a keyword `expression` is one of the parameters
        self, expression: str = "", kind: Any = _UNKNOWN, /, **parameters: str
    ) -> Any:
        """Give the value of an expression with placeholders to an attribute, a function or a setter; live.

            class Orders:
                timeout_s: float = value("${orders.timeout:2.5}")      # converted by the annotation

                @value(batch="${orders.batch:50}")                       # called after __init__, and at each change
                def resize(self, batch: int): ...

            @value(retries="${http.retries:3}", host="${http.host}")    # given when the caller leaves them out
            def fetch(path, *, retries: int, host: str): ...

        A change of any of the keys resolves the whole expression again. A value that then does not fit is logged, and
        the one before stays.

        Args:
            expression: For an attribute, or the only parameter of a setter or function.
            kind: The type of an attribute, if there is no annotation.
            parameters: Of a function: parameter → expression. A method of one parameter is a setter.

        Raises:
            InvalidArgumentError: When read: there is neither a value nor a default, or it does not fit the type.
        """
        if parameters:
            return functools.partial(self._injecting, parameters)
        return Value(self, expression, kind)

    def json_value(self, expression: str, kind: Any = _UNKNOWN, /) -> Any:
        """Do as `value` does with JSON, read into the annotated type, such as `list[dict[str, int]]` or a dataclass.

        Raises:
            InvalidArgumentError: When read: as for `value`, or the text is not JSON.
        """
        return Value(self, expression, kind, is_json=True)

    def live(self, expression: str, finish: Callable[[object], Any], *, shown_by: object = None) -> Live[Any]:
        """Return the live result of *finish* of the resolved *expression*; for *shown_by* see `Live`."""
        return Live(
            self._sources,
            lambda views: finish(resolve_text(expression, lookup_in(views))),
            shown_by=shown_by,
        )

    def _sources(self, runtime: Runtime) -> list[Source]:
        configuration = runtime.configuration(self._component)
        return [GroupSource(configuration, group, self._application, self._label) for group in self._groups]

    def _injecting(self, parameters: dict[str, str], function: Callable[P, T]) -> Callable[P, T]:
        if unknown := parameters.keys() - set(parameters_of(function)):
            raise InvalidArgumentError(
                f"{function.__qualname__} has no parameter {', '.join(sorted(unknown))}"
            )
        given = {name: Value(self, text).for_parameter(function, name) for name, text in parameters.items()}
        return Injected(function, given)


class Value:
    """A configuration value that is always the newest: a descriptor, a decorator, or by itself with `get`.

    Args:
        values: Resolves the expression.
        expression: Text with placeholders, such as `${timeout:100}`, `${a.${b}}`, `${a:${b:1}}`, `${host}:${port}`.
        kind: The type to convert to; by default the annotation of the attribute, else text.
    """

    ready: Any

    def __init__(
        self, values: Values, expression: str, kind: Any = _UNKNOWN, *, is_json: bool = False
    ) -> None:
        self._values = values
        self.expression = expression
        self._kind = kind
        self._is_json = is_json
        self._label = f"{expression!r}"
        self._annotation: Callable[[], Any] | None = None
        self._resolved = values.live(expression, self._finish, shown_by=self)

    def get(self) -> Any:
        """Return the value.

        Raises:
            InvalidArgumentError: There is neither a value nor a default, or it does not fit. At a later change the
                value before stays, and the error is logged.
        """
        return self.__get__(None)

    def __set_name__(self, owner: type, name: str) -> None:
        self._label = f"{owner.__qualname__}.{name} = {self.expression!r}"
        self._annotation = functools.partial(_annotation_of, owner, name)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        try:
            return self.ready  # without a call: values are read very often
        except AttributeError:
            return self._resolved.get()

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """Decorate a function or method of one parameter: see `Values.value`."""
        names = parameters_of(function)
        if len(names) != 1:
            raise InvalidArgumentError(
                f"{function.__qualname__} has the parameters ({', '.join(names)}); with one expression it must have "
                "one. For several write @value(name='${…}', …)"
            )
        return Injected(function, {names[0]: self.for_parameter(function, names[0])})

    def for_parameter(self, function: Callable[..., Any], name: str) -> Value:
        """Return this value with the annotation of a parameter as its type, unless a type was given."""
        own = Value(self._values, self.expression, self._kind, is_json=self._is_json)
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
        return resolved if kind in (str, Any) else validated(resolved, kind, self._label)


def inject(function: Callable[P, T]) -> Callable[P, T]:
    """Give each parameter whose default is `value(…)` or `json_value(…)` its present value at each call.

    @inject
    def fetch(path, retries: int = value("${http.retries:3}")): ...
    """
    parameters = inspect.signature(function).parameters
    values = {name: one.default for name, one in parameters.items() if isinstance(one.default, Value)}
    given = {name: each.for_parameter(function, name) for name, each in values.items()}
    return Injected(function, given)


def _annotation_of(owner: type, name: str) -> Any:
    return typing.get_type_hints(owner, include_extras=True).get(name, str)


value = Values().value
json_value = Values().json_value
