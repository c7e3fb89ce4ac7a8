"""Values, payloads and secrets: no error shows them, in any block, on any engine, with its whole traceback."""

import traceback

import pytest

from capa_core import Runtime
from capa_core.errors import CapaError

CANARY = "s3cret-canary"
DATA = CANARY.encode()
UNSENDABLE = {"key": CANARY, "other": object()}
HALF_A_PAIR = f"{CANARY}\ud800"
NOBODY = "127.0.0.1:1"

# Each is given the component, and carries the canary as a value, a body or a header.
CALLS = {
    "state": {
        "put": lambda state: state.put("k", DATA),
        "put if": lambda state: state.put("k", DATA, if_etag="0"),
        "put for a while": lambda state: state.put("k", DATA, ttl=5),
        "put_many": lambda state: state.put_many({"k": DATA, "l": DATA}),
        "put_json": lambda state: state.put_json("k", {"x": CANARY}),
    },
    "pubsub": {
        "publish": lambda pubsub: pubsub.publish("t", DATA),
        "publish later": lambda pubsub: pubsub.publish("t", DATA, delay=5),
        "publish_many": lambda pubsub: [
            pytest.fail(CANARY) if done.error is None else failed(done.error)
            for done in pubsub.publish_many("t", [DATA, DATA])
        ],
        "attributes": lambda pubsub: pubsub.publish("t", b"x", attributes={"a": CANARY}),
    },
    "log": {
        "append": lambda log: log.append("t", DATA),
        "key": lambda log: log.append("t", b"x", key=DATA),
        "headers": lambda log: log.append("t", b"x", headers={"a": DATA}),
    },
    "configuration": {
        "save": lambda configuration: configuration.save({"k": CANARY}),
        "save_document": lambda configuration: configuration.save_document(f'"{CANARY}"', group="a.json"),
    },
    "invocation": {
        "invoke": lambda invocation: invocation.invoke("m", DATA),
        "headers": lambda invocation: invocation.invoke("m", DATA, headers={"X-Token": CANARY}),
    },
}

# These arguments are refused by each engine.
REFUSED = {
    "state": {
        "text": lambda state: state.put("k", CANARY),
        "json": lambda state: state.put_json("k", UNSENDABLE),
        "half a pair": lambda state: state.put_json("k", HALF_A_PAIR),
        "many": lambda state: state.put_many({"k": CANARY}),
        "conflict": lambda state: (state.put("k", DATA), state.put("k", DATA, if_etag="0")),
        "number": lambda state: (state.put("k", DATA), state.increment("k")),
    },
    "pubsub": {
        "json": lambda pubsub: pubsub.publish("t", UNSENDABLE),
        "half a pair": lambda pubsub: pubsub.publish("t", HALF_A_PAIR),
        "many": lambda pubsub: pubsub.publish_many("t", [UNSENDABLE]),
        "attribute": lambda pubsub: pubsub.publish("t", b"x", attributes={"a": [CANARY]}, raw=True),
        "attribute text": lambda pubsub: pubsub.publish("t", b"x", attributes={"a": HALF_A_PAIR}),
        "raw text": lambda pubsub: pubsub.publish("t", b"x", attributes={"a": HALF_A_PAIR}, raw=True),
    },
    "log": {
        "value": lambda log: log.append("t", UNSENDABLE),
        "half a pair": lambda log: log.append("t", HALF_A_PAIR),
        "key": lambda log: log.append("t", b"x", key=[CANARY]),
        "header": lambda log: log.append("t", b"x", headers={"a": [CANARY]}),
    },
    "configuration": {
        "type": lambda configuration: configuration.save({"k": [CANARY]}),
        "half a pair": lambda configuration: configuration.save({"k": HALF_A_PAIR}),
        "malformed": lambda configuration: configuration.save_document(f'{{"a": {CANARY}', group="a.json"),
    },
    "invocation": {
        "json": lambda invocation: invocation.invoke("m", UNSENDABLE),
        "half a pair": lambda invocation: invocation.invoke("m", HALF_A_PAIR),
        "header": lambda invocation: invocation.invoke("m", b"x", headers={"X-Token": f"{CANARY}\r\nX-B: 1"}),
    },
}

DRIVERS = {
    "state": ["memory", "sqlite", "redis"],
    "pubsub": ["memory", "sqlite", "redis"],
    "log": ["memory", "sqlite"],
    "configuration": ["memory", "file"],
    "invocation": ["memory", "http"],
}


class HasShownError(Exception):
    """Stands for an error that a call returned instead of raising it."""


def failed(error):
    raise HasShownError from error


def shown(call):
    """Return the full text that a terminal or a log shows for the error of *call*."""
    with pytest.raises((CapaError, HasShownError)) as caught:
        call()
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value)


def cases(calls, *, without=()):
    """Yield each call of a block on each of its drivers except those *without*."""
    return [
        pytest.param(
            block,
            driver,
            call,
            id=f"{block}-{driver}-{name}",
            marks=[pytest.mark.server("redis")] if driver == "redis" else [],
        )
        for block, drivers in DRIVERS.items()
        for driver in drivers
        if driver not in without
        for name, call in calls[block].items()
    ]


@pytest.fixture
def open_component(tmp_path, request):
    """A function that opens a component of a block on a driver, with more settings."""
    made = []

    def opened(block, driver, **more):
        if driver == "redis":
            more.setdefault("url", request.getfixturevalue("redis_url"))
        if driver == "http":
            more.setdefault("url", f"http://{NOBODY}")
        table = {"driver": driver, "retries": 0, **more}
        made.append(Runtime({block: {"default": table}}, start=tmp_path, environ={}))
        return made[-1].component(block, "default")

    yield opened
    for runtime in made:
        runtime.close()


@pytest.mark.parametrize(("block", "driver", "call"), cases(REFUSED))
def test_refused_arguments_are_not_shown(open_component, block, driver, call):
    assert CANARY not in shown(lambda: call(open_component(block, driver)))


@pytest.mark.parametrize(("block", "driver", "call"), cases(CALLS, without=["memory"]))
def test_an_engine_that_cannot_be_reached_does_not_show_them(open_component, tmp_path, block, driver, call):
    (tmp_path / "config").write_text("where a folder should be")
    (tmp_path / ".capa").write_text("where a folder should be")
    more = {"url": f"redis://{NOBODY}"} if driver == "redis" else {}

    assert CANARY not in shown(lambda: call(open_component(block, driver, **more)))


@pytest.mark.parametrize(
    ("block", "driver", "call"),
    cases(CALLS, without=["memory", "redis", "http"]),  # they open again
)
def test_a_closed_component_does_not_show_them(open_component, block, driver, call):
    component = open_component(block, driver)
    component.close()

    assert CANARY not in shown(lambda: call(component))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", f'{{"a": {CANARY}'),
        ("a.json", f'{{"a": "{CANARY}'),
        ("a.toml", f"a = {CANARY}"),
        ("a.toml", f'a = "{CANARY}'),
        ("a.yaml", f"a: [{CANARY}"),
        ("a.yaml", f"a: !{CANARY} x"),
        ("a.yaml", f"a: *{CANARY}"),
        ("a.yaml", f"a: !!int {CANARY}"),
        ("a.properties", f"a={CANARY}\\u12"),
    ],
)
def test_a_malformed_document_is_named_and_not_quoted(open_component, tmp_path, name, content):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / name).write_text(content)
    text = shown(lambda: open_component("configuration", "file").get(group=name))

    assert (True, False) == (f"config/{name}" in text, CANARY in text)
