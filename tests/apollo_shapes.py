"""Every client shape of `capa_apollo`, and its original, made and read in one way, for tests of what all must do."""

import asyncio
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any


@dataclass(frozen=True)
class Shape:
    """One client package.

    Attributes:
        original: The module of the original that has the client.
        twin: That of the adapter.
        make: Returns a client from such a module, an address, an appId, a cluster, and a folder for cache files.
        read: Returns the value at a key of `application`, or a default, from a client.
    """

    original: str
    twin: str
    make: Callable[..., Any]
    read: Callable[..., Any] = lambda client, key, default=None: client.get_value(key, default)

    def client(self, world, app="app", cluster="default", folder="/nowhere"):
        """Return a client that has begun to read, as its users begin."""
        module = importlib.import_module(self.original if world.kind == "original" else self.twin)
        return self.make(module, world.url, app, cluster, str(folder))

    @staticmethod
    def end(client):
        """Close the connections of a client that keeps some."""
        getattr(client, "close", lambda: None)()


def _pyapollos(module, url, app, cluster, folder):
    return module.ApolloClient(app, cluster, url, timeout=1, ip="127.0.0.1")


def _client3(module, url, app, cluster, folder):
    names = ["application"]
    client = module.ApolloClient(app, cluster, url, namespaces=names, ip="127.0.0.1", cache_file_path=folder)
    client._long_poll()  # `start` also begins a thread, which cannot be ended
    return client


def _apollo(module, url, app, cluster, folder):
    return module.ApolloClient(url, app, ["application"], cluster, enable_dotenv=False)


def _py3(module, url, app, cluster, folder):
    named = {"client_ip": "127.0.0.1", "cache_path": folder, "need_hot_update": False}
    return module.ApolloClient(app, url, cluster, **named)


def _apollo_config(module, url, app, cluster, folder):
    client = module.ApolloClient(app, url, cluster, cache_dir=folder)
    client.start()
    return client


def _apollocfg(module, url, app, cluster, folder):
    client = module.ApolloClient(app, url, cluster=cluster, refresh_interval=None)
    client.start()
    return client


def _aioapollo(module, url, app, cluster, folder):
    module.ApolloConfig(f"{url} {app} {cluster}", url, app, cluster)
    return module.ApolloClient(f"{url} {app} {cluster}")


def _get(client, key, default=None):
    return client.get(key, default)


def _get_async(client, key, default=None):
    found = asyncio.run(client.get(key))
    return default if found is None else found


def _read_async(client, key, default=None):
    return asyncio.run(client.cached_config("application")).get(key, default)


SHAPES = {
    "pyapollos": Shape("pyapollos.apollo_client", "capa_apollo.pyapollo.apollo_client", _pyapollos),
    "apollo-client3": Shape("pyapollo.apollo_client", "capa_apollo.pyapollo.apollo_client", _client3),
    "apollo-client-python": Shape("apollo.apollo_client", "capa_apollo.xhrg.apollo_client", _apollo),
    "py3-apollo-client": Shape("py3_apollo.apollo_client", "capa_apollo.py3_apollo.apollo_client", _py3),
    "apollo-python": Shape("apollo_python.apollo_client", "capa_apollo.apollo_python.apollo_client", _py3),
    "ApolloPyClient": Shape(
        "ApolloPyClient.ApolloPyClient",
        "capa_apollo.ApolloPyClient.ApolloPyClient",
        lambda module, url, app, cluster, folder: module.ApolloClient(
            app, url, cluster, client_ip="127.0.0.1"
        ),
        lambda client, key, default=None: str(client.get_value(key, default)),
    ),
    "apollo-config-client": Shape("apollo_config", "capa_apollo.apollo_config", _apollo_config),
    "apollocfg": Shape("apollocfg", "capa_apollo.apollocfg", _apollocfg),
    "papollo": Shape(
        "papollo",
        "capa_apollo.papollo",
        lambda module, url, app, cluster, folder: module.Apollo(url, app, cluster=cluster),
        _get,
    ),
    "apopy": Shape(
        "apopy",
        "capa_apollo.apopy",
        lambda module, url, app, cluster, folder: module.Client(url, app, cluster, "127.0.0.1"),
        _get,
    ),
    "aioapollo": Shape("aioapollo", "capa_apollo.aioapollo", _aioapollo, _get_async),
    "apollo-pydantic": Shape(
        "apollo_pydantic",
        "capa_apollo.apollo_pydantic",
        lambda module, url, app, cluster, folder: module.ApolloClient(url, app, cluster),
        _read_async,
    ),
}

WITHOUT_THREADS = {
    "py3_apollo.apollo_client.ApolloClient": ["_heart_beat", "_start_hot_update"],
    "apollo_python.apollo_client.ApolloClient": ["_heart_beat", "_start_hot_update"],
    "ApolloPyClient.ApolloPyClient.ApolloClient": ["_heart_beat", "_listener"],
    "apollo_config.client.ApolloClient": ["_long_poll"],
    "apollocfg.client.ApolloClient": ["_long_poll"],
}
"""Methods of originals that run in threads which outlive a test: those that only read need none of them."""


def without_threads(monkeypatch):
    """Let the originals read, and not follow; keep them from what they set for the whole process."""
    for name, methods in WITHOUT_THREADS.items():
        for method in methods:
            monkeypatch.setattr(f"{name}.{method}", lambda self: None)
    monkeypatch.setattr("apollo.apollo_client.init_ip", lambda: "127.0.0.1")
    silent = SimpleNamespace(error=lambda *_: None, info=lambda *_: None)  # its messages cannot be formatted
    monkeypatch.setattr("apollo.apollo_client.logging", silent)
    monkeypatch.setattr("apollo.util.logging", silent)
    monkeypatch.setattr("aioapollo.loopConfig", lambda: None)
    monkeypatch.setattr("aioapollo.ApolloClient._configCollection", {})
    monkeypatch.setattr("loguru.logger.remove", lambda *_: None)
    monkeypatch.setattr("loguru.logger.add", lambda *_, **__: 0)
