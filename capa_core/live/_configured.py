"""`configured`: a whole group, or a part of it, as an object that is always up to date."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from capa_core.blocks.configuration import formats
from capa_core.live._convert import validated
from capa_core.live._fields import fitted
from capa_core.live._live import Live, Source
from capa_core.live._live_class import LiveClass
from capa_core.live._sources import GroupSource
from capa_core.runtime import default_runtime

if TYPE_CHECKING:
    from capa_core.blocks.configuration import ConfigurationView
    from capa_core.runtime import Runtime

T = TypeVar("T")
ClassT = TypeVar("ClassT", bound=type)


class Configured(Generic[T]):
    """The result of `configured`: a decorator of a class, a descriptor, or by itself with `get`.

    Args:
        source: Returns the source of the values in a runtime.
        kind: The type of the object; `None` takes the annotation of the attribute, else nested dicts and lists.
        prefix: Only the keys below this dotted one.
        label: Its name in messages.
    """

    ready: T

    def __init__(self, source: Callable[[Runtime], Source], kind: Any, *, prefix: str, label: str) -> None:
        self.source = source
        self.label = f"{label}{f', prefix={prefix!r}' if prefix else ''}"
        self._prefix = prefix
        self._kind = kind
        self._kind_of: Callable[[], Any] = lambda: self._kind
        self._live: Live[Any] = Live(lambda runtime: [self.source(runtime)], self._built, shown_by=self)

    def get(self) -> T:
        """Return the present object, which never changes: take it once for several values that belong together.

        Raises:
            InvalidArgumentError: The group does not fit the type. At a later change the object before stays, and
                the error is logged.
        """
        return self.__get__(None)

    def __set_name__(self, owner: type, name: str) -> None:
        if self._kind is None:
            self._kind_of = lambda: typing.get_type_hints(owner, include_extras=True).get(name)

    def __get__(self, instance: object, owner: type | None = None) -> T:
        try:
            return self.ready  # without a call, as in `Value`
        except AttributeError:
            return self._live.get()  # type: ignore[no-any-return]

    def __call__(self, decorated: ClassT) -> ClassT:
        """Make instances of the class that are constructed without arguments live."""
        LiveClass(self, decorated)
        return decorated

    def data(self, view: ConfigurationView | None = None) -> Any:
        """Return the data at the prefix, nested, with the types of the group's format; by default the present ones."""
        data = _nested(self.source(default_runtime()).view() if view is None else view)
        for step in filter(None, self._prefix.split(".")):
            data = data.get(step, {}) if isinstance(data, Mapping) else {}
        return data

    def _built(self, views: Sequence[ConfigurationView]) -> Any:
        data, kind = self.data(views[0]), self._kind_of()
        return data if kind is None else validated(fitted(data, kind), kind, self.label)


@overload
def configured(
    group: str = ...,
    kind: None = None,
    *,
    prefix: str = ...,
    application: str = ...,
    label: str = ...,
    component: str = ...,
) -> Configured[Any]: ...
@overload
def configured(
    group: str,
    kind: type[T],
    *,
    prefix: str = ...,
    application: str = ...,
    label: str = ...,
    component: str = ...,
) -> Configured[T]: ...
def configured(
    group: str = "application",
    kind: type[T] | None = None,
    *,
    prefix: str = "",
    application: str = "",
    label: str = "",
    component: str = "default",
) -> Configured[Any]:
    """Read a group into a dataclass, a pydantic model or a plain annotated class; live.

        @configured("limits.json")
        @dataclass
        class Limits:                                  # Limits() is live: each read of an attribute is of the newest
            max_connections: int = 10
            hosts: list[str] = field(default_factory=list)

        class Service:
            limits = configured("limits.json", Limits)         # the newest Limits, whole

        database = configured("application", Database, prefix="shop.db")
        database.get()

    A class that is constructed with arguments gives ordinary instances. Keys may be spelled `maxConnections`,
    `max-connections` or `max_connections`; fields that the group has not keep their defaults.

    Args:
        group: A document such as `limits.json`, or a set of properties.
        kind: The type, where no class is decorated.
        prefix: Only the keys below this dotted one.
        application: The owner of the group; `""` for the component's own.
        label: The variant; one that does not exist falls back to the unlabelled.
        component: The logical name of the configuration component.

    Raises:
        InvalidArgumentError: When first read: the group does not fit the type.
        UnavailableError: When first read: the engine does not answer, and nothing was read from it before.
    """

    def source(runtime: Runtime) -> Source:
        return GroupSource(runtime.configuration(component), group, application, label)

    return Configured(source, kind, prefix=prefix, label=f"configured({group!r})")


def _nested(view: ConfigurationView) -> Any:
    """Return the data of a group, with the types of its format; texts where the format has none."""
    snapshot = view.snapshot
    if snapshot.content is not None:
        return formats.tree(snapshot.content, formats.suffix_of(view.scope.group), str(view.scope))
    return formats.unflatten({key: item.value for key, item in snapshot.items.items()})
