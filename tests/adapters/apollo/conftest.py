"""A runtime in memory for the adapter; the originals have the Apollo test server."""

from collections.abc import Iterator

import pytest
from apollo_twins import FIRST, SHIPPING, YAML, InMemory, World
from certificates import make_certificate

from capa_apollo import disable_apollo_config
from capa_core import Runtime, use_runtime


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"))[0]


@pytest.fixture(autouse=True)
def _one_authority(certificate, monkeypatch):
    """Let originals that make a TLS context for each request read one certificate instead of all the machine's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        yield runtime
        disable_apollo_config()


@pytest.fixture
def configuration(runtime):
    return runtime.configuration()


@pytest.fixture
def apollo(start_apollo):
    """Start an Apollo test server that holds a poll for less time than the shortest timeout of an original."""
    server = start_apollo()
    server.hold_s = 0.5
    return server


@pytest.fixture
def in_memory(configuration):
    return InMemory(configuration)


@pytest.fixture
def on_apollo(start_apollo, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    server = start_apollo()
    (tmp_path / "capa.toml").write_text(f'[configuration.default]\ndriver = "apollo"\nurl = "{server.url}"\n')
    with Runtime(environ={}) as runtime, use_runtime(runtime):
        yield World("twin", server)


@pytest.fixture(params=["in_memory", "on_apollo"])
def worlds(request, apollo, monkeypatch, tmp_path):
    """Both worlds, with the originals kept from looking for their own address and from writing at home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("apollo.apollo_client.init_ip", lambda: "127.0.0.1")
    worlds = [World("original", apollo), request.getfixturevalue(request.param)]
    for world in worlds:
        world.release("application", FIRST)
        world.release("other", {"a": "other"})
        world.release("shipping.json", SHIPPING)
        world.release("nested.yaml", YAML)
    return worlds
