"""A class whose instances are filled from configuration, and again at each change."""

from __future__ import annotations

import inspect
import threading
import typing
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import wrapt

from capa_core.errors import InvalidArgumentError
from capa_core.forks import renew_locks_after_fork
from capa_core.live._convert import validated
from capa_core.live._fields import fields_of, fitted
from capa_core.live._live import Live, Source
from capa_core.runtime import default_runtime

if TYPE_CHECKING:
    from pydantic import BaseModel

    from capa_core.blocks.configuration import ConfigurationView
    from capa_core.runtime import Runtime

_OF_PYDANTIC = ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")

State = Mapping[str, Any]
"""Attribute → value, for all state of one instance; `__dict__` holds its fields."""


class Values(Protocol):
    """The values of the instances.

    Attributes:
        label: Their name in messages.
    """

    label: str

    def source(self, runtime: Runtime) -> Source:
        """Return their source in *runtime*."""

    def data(self, view: ConfigurationView) -> Any:
        """Return the nested data of *view*."""


class LiveClass:
    """Patches *decorated*: instances constructed without arguments are live, in the runtime in which they were made.

    A live instance has its `__dict__` swapped for another at a change: reading an attribute costs no more than before,
    and each read sees all of the old values or all of the new.
    """

    def __init__(self, values: Values, decorated: type) -> None:
        if not decorated.__dictoffset__ or not decorated.__weakrefoffset__:
            raise InvalidArgumentError(
                f"{decorated.__qualname__} has __slots__, so its instances cannot be swapped as a whole. Leave slots "
                f"out, or use it as an attribute: config: {decorated.__name__} = {values.label}"
            )
        self._values = values
        self._decorated = decorated
        self._is_plain = not fields_of(decorated)
        self._kind: Any = None if self._is_plain else decorated
        self._defaults = dict(vars(decorated))
        self._per_runtime: weakref.WeakKeyDictionary[Runtime, Instances] = weakref.WeakKeyDictionary()
        self._latest: Instances
        self._runtime: Runtime | None = None
        renew_locks_after_fork(self)
        wrapt.wrap_function_wrapper(decorated, "__init__", self._initialise)
        names = inspect.get_annotations(decorated) if self._is_plain else ()
        self._attributes = {name: _ClassAttribute(self, name) for name in names}
        for name, attribute in self._attributes.items():
            setattr(decorated, name, attribute)

    def make_locks(self) -> None:
        """Make the lock."""
        self._lock = threading.Lock()

    def instances(self) -> Instances:
        """Return the live instances of the default runtime, bound to it."""
        runtime = default_runtime()
        if runtime is self._runtime:
            return self._latest
        with self._lock:
            group = self._per_runtime.get(runtime)
            if group is None:
                source = self._values.source(runtime)
                group = self._per_runtime[runtime] = Instances(
                    lambda _runtime: [source], self._state, self._attributes
                )
            group.bind(runtime)
            self._latest, self._runtime = group, runtime
        return group

    def _initialise(
        self, wrapped: Any, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if args or kwargs or type(instance) is not self._decorated:
            wrapped(*args, **kwargs)
            return
        if self._is_plain:
            wrapped()
        self.instances().add(instance)

    def _state(self, views: Sequence[ConfigurationView]) -> State:
        if self._kind is None:
            self._kind = self._model()
        label = f"{self._decorated.__qualname__} from {self._values.label}"
        built = validated(fitted(self._values.data(views[0]), self._kind), self._kind, label)
        if self._is_plain:
            return {"__dict__": vars(built)}
        return {name: getattr(built, name) for name in ("__dict__", *_OF_PYDANTIC) if hasattr(built, name)}

    def _model(self) -> type[BaseModel]:
        """Return a pydantic model with the fields of a plain annotated class."""
        from pydantic import ConfigDict, create_model

        hints = typing.get_type_hints(self._decorated, include_extras=True)
        fields = {
            name: (kind, self._defaults.get(name, getattr(self._decorated.__base__, name, ...)))
            for name, kind in hints.items()
            if not name.startswith("_") and typing.get_origin(kind) is not typing.ClassVar
        }
        lax = ConfigDict(protected_namespaces=())
        return create_model(self._decorated.__name__, __config__=lax, **fields)  # type: ignore[call-overload,no-any-return]


class Instances(Live[State]):
    """The live instances of one class in one runtime; they are not kept alive.

    Args:
        attributes: Those of the class itself that show the values, by name.
    """

    def __init__(
        self,
        sources: Callable[[Runtime], Iterable[Source]],
        compute: Callable[[Sequence[ConfigurationView]], State],
        attributes: Mapping[str, _ClassAttribute],
    ) -> None:
        super().__init__(sources, compute)
        self._attributes = attributes
        # By id: most dataclasses compare by value and have no hash.
        self._known: weakref.WeakValueDictionary[int, object] = weakref.WeakValueDictionary()

    def make_locks(self) -> None:
        """Make the locks."""
        super().make_locks()
        self._filling = threading.Lock()

    def show(self) -> None:
        """See `Readable.show`."""
        for name, attribute in self._attributes.items():
            attribute.ready = self._value["__dict__"][name]

    def hide(self) -> None:
        """See `Readable.hide`."""
        for attribute in self._attributes.values():
            with suppress(AttributeError):
                del attribute.ready

    def add(self, instance: object) -> None:
        """Fill *instance* now and at each change."""
        with self._filling:
            self._known[id(instance)] = instance
            _fill(instance, self._value)

    def _accept(self, value: State) -> None:
        with self._filling:
            self._value = value
            for instance in list(self._known.values()):
                _fill(instance, value)


class _ClassAttribute:
    """Answers for a field that is read from a plain class itself: `Limits.max` is as live as `Limits().max`."""

    ready: Any

    def __init__(self, of: LiveClass, name: str) -> None:
        self._of = of
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        try:
            return self.ready  # without a call, as in `Value`
        except AttributeError:
            return self._of.instances().get()["__dict__"][self._name]


def _fill(instance: object, state: State) -> None:
    for name, part in state.items():
        new = {**vars(instance), **part} if name == "__dict__" else part
        object.__setattr__(instance, name, new)
