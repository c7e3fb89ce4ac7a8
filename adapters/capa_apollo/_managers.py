"""The part that the managers of apollo-config-client and apollocfg share: callbacks by namespace over one client."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from capa_apollo._dict_listeners import Changes, DictListener, notify_all

T = TypeVar("T")


class _Client(Protocol):
    def start(self) -> None: ...
    def register_callback(self, cb: DictListener) -> object: ...
    def get_value(self, key: str, default: Any = None, namespace: str = "application") -> Any: ...
    def get_configs(self, namespace: str = "application") -> dict[str, str]: ...


ClientT = TypeVar("ClientT", bound=_Client)


class Manager(Generic[ClientT]):
    """A client whose callbacks are registered by namespace."""

    def __init__(self, client: ClientT) -> None:
        self._client = client
        self._ns_callbacks: dict[str, list[DictListener]] = defaultdict(list)
        client.register_callback(self._dispatch)

    def start(self) -> None:
        """See `ApolloClient.start`."""
        self._client.start()

    def on_namespace_change(self, namespace: str = "application") -> Callable[[DictListener], DictListener]:
        """Return a decorator that registers a callback for changes of *namespace*."""

        def decorator(cb: DictListener) -> DictListener:
            self._ns_callbacks[namespace].append(cb)
            return cb

        return decorator

    def get_value(self, key: str, default: Any = None, namespace: str = "application") -> Any:
        """See `ApolloClient.get_value`."""
        return self._client.get_value(key, default, namespace)

    def get_configs(self, namespace: str = "application") -> dict[str, str]:
        """See `ApolloClient.get_configs`."""
        return self._client.get_configs(namespace)

    def get_typed(self, namespace: str, model_cls: type[T]) -> T:
        """Return *namespace* as a *model_cls*, by its `model_validate`, as pydantic's models have it."""
        validate: Callable[[dict[str, str]], T] = model_cls.model_validate  # type: ignore[attr-defined]
        return validate(self.get_configs(namespace))

    def _dispatch(self, namespace: str, changes: Changes) -> None:
        notify_all(self._ns_callbacks.get(namespace, ()), namespace, changes)
