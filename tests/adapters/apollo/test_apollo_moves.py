"""A program of each client package, moved by its manifest, reads from Capa and hears of changes."""

import asyncio
import inspect

import pytest

from capa_apollo.apollo_pydantic import ApolloSettings, ApolloSettingsMetadata
from capa_core.conformance._tolerance import wait_until
from capa_migration.cli import main

URL = "http://apollo.internal:8080"
PROGRAMS = {
    "pyapollos": """
from pyapollos import ApolloClient

client = ApolloClient("app", config_server_url=URL)
client.start(catch_signals=False)
first = client.get_value("a")
""",
    "pyapollo": """
from pyapollo.apollo_client import ApolloClient

client = ApolloClient(app_id="app", cluster="default", config_server_url=URL)
first = client.get_value("a", default_val="d", namespace="application")
""",
    "apollo-client": """
from pyapollo import ApolloClient

client = ApolloClient("app", "default", URL, "DEV", None, 60, 300, "/tmp/apollo", "token")
client.start()
first = client.get_value("a", "d")
""",
    "python-apollo-client": """
import pyapollo

client = pyapollo.ApolloClient(app_id="app", config_server_url=URL, cycle_time=30)
first = client.get_value("a", "d", "application")
""",
    "apollo-client3": """
from pyapollo.apollo_client import ApolloClient
from pyapollo.exceptions import NameSpaceNotFoundException, ServerNotResponseException

class Settings:
    a = ""

client = ApolloClient("app", config_server_url=URL, namespaces=["application"])
client.watch_key_change("a", told.append)
client.add_listener(Settings)
try:
    client.start()
except (NameSpaceNotFoundException, ServerNotResponseException):
    raise
first = Settings.a
""",
    "apollo-client-python": """
from apollo.apollo_client import ApolloClient

client = ApolloClient(URL, "app", ["application"], enable_dotenv=False)
client.add_value_change_listener(lambda event: told.append(event["value"]))
client.start()
first = client.get_value("a")
""",
    "git+https://github.com/xhrg-product/apollo-client-python.git": """
from apollo_client import ApolloClient

client = ApolloClient(config_url=URL, app_id="app", change_listener=lambda *change: told.append(change[3]))
first = client.get_value("a")
""",
    "py3-apollo-client": """
from py3_apollo import ApolloClient

client = ApolloClient(app_id="app", config_url=URL, change_listener=lambda *change: told.append(change[3]))
first = client.get_value("a")
""",
    "apollo-python": """
from apollo_python import ApolloClient

client = ApolloClient(app_id="app", config_url=URL, change_listener=lambda *change: told.append(change[3]))
first = client.get_value("a")
""",
    "ApolloPyClient": """
from ApolloPyClient.ApolloPyClient import ApolloClient

client = ApolloClient("app", URL, change_listener=lambda *change: told.append(str(change[3])))
first = str(client.get_value("a"))
""",
    "apollo-config-client": """
import apollo_config

client = apollo_config.create_config_manager("app", URL)

@client.on_namespace_change("application")
def changed(namespace, changes):
    told.append(changes["a"]["new"])

first = client.get_value("a")
""",
    "apollocfg": """
from apollocfg import ApolloClient, RequiredKeysMissing

client = ApolloClient("app", config_url=URL, required_keys=["a"], allow_fallback=False)
client.register_callback(lambda namespace, changes: told.append(changes["a"]["new"]))
try:
    client.start()
except RequiredKeysMissing:
    raise
first = client.get_value("a")
""",
    "papollo": """
from papollo import Apollo, ApolloError

client = Apollo(URL, "app", watch=True)
client.add_listener(lambda namespace, old, new: told.append(new["a"]))
try:
    first = client.get("a")
except ApolloError:
    raise
""",
    "apopy": """
from apopy import Client, NamespaceType

client = Client(config_server_url=URL, app_id="app")
first = client.get("a", namespace_type=NamespaceType.PROPERTIES)
""",
    "aioapollo": """
from aioapollo import ApolloClient, ApolloConfig, ConfigMode

ApolloConfig("moved", URL, "app", "default", "application", ConfigMode.CHECKING)
client = ApolloClient("moved")

async def read():
    return await client.get("a")

first = run(read())
""",
    "apollo-pydantic": """
from apollo_pydantic import ApolloSettings, ApolloSettingsConfigDict

class Settings(ApolloSettings):
    __namespace__ = "application"
    model_config = ApolloSettingsConfigDict(config_server=URL, appid="app", cluster="default")

    a: str

client = Settings()
run(Settings.refresh())
first = client.a
""",
}
WITHOUT_LISTENERS = {
    *("pyapollos", "pyapollo", "apollo-client", "python-apollo-client"),
    *("apopy", "aioapollo", "apollo-pydantic"),
}


@pytest.fixture
def settings_classes(monkeypatch):
    """No settings class of another test."""
    monkeypatch.setattr(ApolloSettings, "__metadata__", ApolloSettingsMetadata())
    monkeypatch.setattr(ApolloSettings, "__instances__", {})


def moved(folder, source, manifest):
    """Return *source* as a rewrite leaves it in a project with *manifest*."""
    (folder / "requirements.txt").write_text(f"{manifest}\n")
    (folder / "app.py").write_text(source)
    main(["migrate", "apply", str(folder)])
    return (folder / "app.py").read_text()


@pytest.mark.parametrize("distribution", PROGRAMS)
def test_a_moved_program_reads_and_hears_of_changes(
    tmp_path, capsys, configuration, settings_classes, distribution
):
    configuration.save({"a": "1"}, application="app")
    text = moved(tmp_path, PROGRAMS[distribution], distribution)
    told = []
    names = {"URL": URL, "told": told, "run": asyncio.run, "__name__": "moved_program"}
    exec(compile(text, "app.py", "exec"), names)
    client = names["client"]

    assert "1" == names["first"]
    imports = [line for line in text.splitlines() if "import" in line and line[0] in "fi"]
    assert [True] * len(imports) == [" capa_apollo." in line for line in imports]
    configuration.save({"a": "2"}, application="app")
    if distribution in WITHOUT_LISTENERS:
        wait_until(lambda: _read(client) == "2")
    else:
        wait_until(lambda: told[-1:] == ["2"])


def _read(client):
    if isinstance(client, ApolloSettings):
        asyncio.run(type(client).refresh())
        return client.a
    read = (getattr(client, "get_value", None) or client.get)("a")
    return asyncio.run(read) if inspect.iscoroutine(read) else read


@pytest.mark.parametrize("manifest", ["requests", "# {}", "my-{}"])
def test_programs_without_evidence_stay(tmp_path, capsys, manifest):
    plain = [name for name in PROGRAMS if "/" not in name]
    (tmp_path / "requirements.txt").write_text("".join(f"{manifest.format(name)}\n" for name in plain))
    for number, source in enumerate(PROGRAMS.values()):
        (tmp_path / f"app{number}.py").write_text(source)
    main(["migrate", "apply", str(tmp_path)])

    assert list(PROGRAMS.values()) == [
        (tmp_path / f"app{number}.py").read_text() for number in range(len(PROGRAMS))
    ]


@pytest.mark.parametrize(
    ("distribution", "module"),
    [
        ("apopy", "papollo"),
        ("apollo-python", "apollo"),
        ("pyapollos", "pyapollo"),
        ("apollocfg", "apollo_config"),
    ],
)
def test_another_distribution_is_no_evidence(tmp_path, capsys, distribution, module):
    source = f"import {module}\n"

    assert source == moved(tmp_path, source, distribution)


@pytest.mark.parametrize("module", ["apollo_client", "apollo_config", "pyapollo"])
def test_a_module_of_the_project_stays(tmp_path, capsys, module):
    (tmp_path / f"{module}.py").write_text("")
    source = f"from {module} import ApolloClient\n"

    assert source == moved(tmp_path, source, "apollo-client-python\napollo-config-client\npyapollo")
