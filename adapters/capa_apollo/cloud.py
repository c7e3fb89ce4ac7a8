"""`cloud_config`: a whole namespace, or a part of it, as an object that is always up to date."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from capa_apollo._convert import validated
from capa_apollo._fields import fitted
from capa_apollo._live import Live
from capa_apollo._live_class import LiveClass
from capa_apollo._space import Space, own_space
from capa_core import default_runtime
from capa_core.blocks.configuration import formats

if TYPE_CHECKING:
    from capa_core.blocks.configuration import ConfigurationView
    from capa_core.runtime import Runtime

ClassT = TypeVar("ClassT", bound=type)


class CloudConfig:
    """The result of `cloud_config`: a decorator of a class, a descriptor, or by itself with `get`.

    Args:
        namespace: A document such as `testjson.json`, or a set of properties.
        kind: The type of the object; by default the annotation of the attribute, else nested dicts and lists.
        prefix: Only the keys below this dotted one.
    """

    def __init__(self, namespace: str, kind: Any, *, prefix: str, app_id: str, cluster: str) -> None:
        self.namespace = namespace
        self._prefix = prefix
        self._app_id = app_id
        self._cluster = cluster
        self._kind = kind
        self._kind_of: Callable[[], Any] = lambda: self._kind
        self._live: Live[Any] = Live(self._inputs, self._built)

    def get(self) -> Any:
        """Return the present object, which never changes: take it once for several values that belong together.

        Raises:
            InvalidArgumentError: The namespace does not fit the type. At a later change the object before stays, and
                the error is logged.
        """
        return self._live.get()

    def __set_name__(self, owner: type, name: str) -> None:
        if self._kind is None:
            self._kind_of = lambda: typing.get_type_hints(owner, include_extras=True).get(name)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        live = self._live  # the body of Live.get once more, without the call
        if default_runtime() is live._runtime:
            return live._value
        return live.get()

    def __call__(self, decorated: ClassT) -> ClassT:
        """Make instances of the class that are constructed without arguments live."""
        LiveClass(self, decorated)
        return decorated

    def _inputs(self, runtime: Runtime) -> list[tuple[Space, str]]:
        return [(self.space(runtime), self.namespace)]

    def space(self, runtime: Runtime) -> Space:
        """Return the space of the namespace in *runtime*."""
        return own_space(runtime, self._app_id, self._cluster)

    def _built(self, views: Sequence[ConfigurationView]) -> Any:
        data, kind = self.data(views[0]), self._kind_of()
        return data if kind is None else validated(fitted(data, kind), kind, self.label())

    def data(self, view: ConfigurationView) -> Any:
        """Return the data of the namespace at the prefix, nested, with the types of its format."""
        data = _nested(view)
        for step in filter(None, self._prefix.split(".")):
            data = data.get(step, {}) if isinstance(data, Mapping) else {}
        return data

    def label(self) -> str:
        """Return its name in messages."""
        return f"cloud_config({self.namespace!r}{f', prefix={self._prefix!r}' if self._prefix else ''})"


def cloud_config(
    namespace: str = "application", kind: Any = None, *, prefix: str = "", app_id: str = "", cluster: str = ""
) -> CloudConfig:
    """Read a namespace into a dataclass, a pydantic model or a plain annotated class; live.

        @cloud_config("testjson.json")
        @dataclass
        class Limits:                                  # Limits() is live: each read of an attribute is of the newest
            max_connections: int = 10
            hosts: list[str] = field(default_factory=list)

        class Service:
            limits: Limits = cloud_config("testjson.json")         # the newest Limits, whole

        database = cloud_config("application", Database, prefix="shop.db")
        database.get()

    A class that is constructed with arguments gives ordinary instances. Keys may be spelled `maxConnections`,
    `max-connections` or `max_connections`; fields that the namespace has not keep their defaults.

    Args:
        kind: The type, where there is no annotation.
        prefix: Only the keys below this dotted one.
        app_id: The owner of the namespace; by default the one of `[adapters.apollo]`.
        cluster: The variant; by default the one of `[adapters.apollo]`.

    Raises:
        InvalidArgumentError: When first read: the namespace does not fit the type.
    """
    return CloudConfig(namespace, kind, prefix=prefix, app_id=app_id, cluster=cluster)


def _nested(view: ConfigurationView) -> Any:
    """Return the data of a namespace, with the types of its format; texts where the format has none."""
    snapshot = view.snapshot
    if snapshot.content is not None:
        return formats.tree(snapshot.content, formats.suffix_of(view.scope.group), str(view.scope))
    return formats.unflatten({key: item.value for key, item in snapshot.items.items()})
