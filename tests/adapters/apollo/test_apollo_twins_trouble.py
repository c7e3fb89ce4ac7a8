"""Every original and its twin while the server is away or answers wrongly at the start, and with several apps."""

import importlib.util

import pytest
from apollo_shapes import SHAPES, without_threads
from apollo_twins import World

from capa_core import Runtime, use_runtime

TROUBLES = ["down", "500", "html", "truncated", "garbage", "missing"]
UNAVAILABLE = dict.fromkeys(TROUBLES, "UnavailableError")
# Outcomes that differ, by the trouble: the original's, the twin's; docs/differences/apollo.md has each.
DIFFERENT = {
    "pyapollos": (
        {
            "down": "ConnectionError",
            "500": "default",
            "html": "JSONDecodeError",
            "truncated": "ChunkedEncodingError",
            "garbage": "JSONDecodeError",
            "missing": "ReadTimeout",
        },
        UNAVAILABLE | {"missing": "default"},
    ),
    "apopy": (
        {
            "down": "ConnectError",
            "500": "Exception",
            "html": "JSONDecodeError",
            "truncated": "RemoteProtocolError",
            "garbage": "JSONDecodeError",
            "missing": "Exception",
        },
        UNAVAILABLE | {"missing": "NotFoundError"},
    ),
    "aioapollo": (
        {
            "down": "ClientConnectorError",
            "500": "AssertionError",
            "html": "ContentTypeError",
            "truncated": "ClientPayloadError",
            "garbage": "JSONDecodeError",
            "missing": "AssertionError",
        },
        UNAVAILABLE | {"missing": "NotFoundError"},
    ),
    "apollo-pydantic": (
        {"html": "JSONDecodeError", "garbage": "JSONDecodeError"},
        {"html": "ValueError", "garbage": "ValueError"},
    ),
}


INSTALLED = [name for name, one in SHAPES.items() if importlib.util.find_spec(one.original.partition(".")[0])]


@pytest.fixture(params=INSTALLED)
def shape(request, monkeypatch, tmp_path):
    """A name and its shape; the originals have a thread for nothing."""
    without_threads(monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("cache").mkdir()
    return request.param, SHAPES[request.param]


@pytest.fixture
def twin_world(start_apollo, tmp_path):
    server = start_apollo()
    tmp_path.joinpath("capa.toml").write_text(
        f'[configuration.default]\ndriver = "apollo"\nurl = "{server.url}"\ntimeout_s = 3\n'
    )
    with Runtime(environ={}) as runtime, use_runtime(runtime):
        yield World("twin", server)


def _outcome(shape, world, folder, **place):
    client = None
    try:
        client = shape.client(world, folder=folder, **place)
        return shape.read(client, "a", "default")
    except Exception as error:
        return type(error).__name__
    finally:
        shape.end(client)


@pytest.mark.timeout(180)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pyapollos calls `Logger.warn`
def test_trouble_at_the_start_ends_the_same_or_as_listed(shape, apollo, twin_world, tmp_path):
    name, one = shape
    apollo.hold_s = 60
    outcomes = {}
    for trouble in TROUBLES:
        outcomes[trouble] = []
        for kind, server in (("original", apollo), ("twin", twin_world._server)):
            app = f"{kind}-{trouble}"  # so that nothing of an earlier trouble is kept
            if trouble != "missing":
                server.release("application", {"a": "1"}, app=app)
            if trouble == "down":
                server.stop()
            server.break_answers(trouble if trouble not in {"down", "missing"} else "")
            outcomes[trouble].append(_outcome(one, World(kind, server), tmp_path / "cache", app=app))
            if trouble == "down":
                server.start()

    differ = {trouble: pair for trouble, pair in outcomes.items() if pair[0] != pair[1]}
    original, twin = DIFFERENT.get(name, ({}, {}))
    assert {trouble: [original[trouble], twin[trouble]] for trouble in original} == differ


def test_several_apps_and_clusters_in_one_process_read_the_same(shape, apollo, twin_world, tmp_path):
    _, one = shape
    places = [(app, cluster) for app in ("first", "second") for cluster in ("default", "blue", "green")]

    def steps(world):
        for app, cluster in places:
            if cluster != "green":  # its values are those of `default`
                world.release("application", {"a": f"{app} {cluster}"}, app=app, cluster=cluster)
        clients = []
        for app, cluster in places:
            folder = tmp_path / "cache" / world.kind / app / cluster
            folder.mkdir(parents=True)
            clients.append(one.client(world, app, cluster, folder))
        seen = [one.read(client, "a") for client in clients]
        for client in clients:
            one.end(client)
        return seen

    original, twin = steps(World("original", apollo)), steps(twin_world)
    assert ["first default", "first blue", "first default"] == original[:3]
    assert original == twin
