"""Task messages that no worker can run: each becomes a dead letter with its reason, and the next one is served."""

import base64
import json
import logging
import signal
from typing import Any

import pytest
from celery_engines import POSTGRES, RABBITMQ, REDIS, in_every_pool
from hypothesis import given, settings
from hypothesis import strategies as st

from capa_celery._worker._execution import Arrival, Execution

pytestmark = pytest.mark.timeout(120)

QUEUE = "celery"
DEEP = 100_000
WELL_FORMED = {
    "body": base64.b64encode(json.dumps([[1, 2], {}, {"callbacks": None, "chord": None}]).encode()).decode(),
    "content-type": "application/json",
    "content-encoding": "utf-8",
    "headers": {
        "lang": "py",
        "task": "proj.add",
        "id": "one",
        "retries": 0,
        "eta": None,
        "timelimit": [None, None],
    },
    "properties": {"correlation_id": "one", "body_encoding": "base64", "delivery_info": {}},
}


def message(**changes: Any) -> bytes:
    """Return a task message with other headers, or, by names of the envelope, with other parts."""
    envelope = {name: changes.pop(name, value) for name, value in WELL_FORMED.items()}
    if changes:
        envelope["headers"] = {**WELL_FORMED["headers"], **changes}
    return json.dumps(envelope).encode()


def with_body(text: str) -> bytes:
    return message(body=base64.b64encode(text.encode()).decode())


MALFORMED = {
    "no JSON": b"\x80\x04\x95",
    "no text": b"\xff\xfe",
    "nothing": b"",
    "a number": b"1",
    "a list": b"[]",
    "an empty object": b"{}",
    "a deep envelope": b"[" * DEEP + b"]" * DEEP,
    "a deep body": with_body("[" * DEEP + "]" * DEEP),
    "a deep header": message()[:-1] + b', "x": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "a body that is no base64": message(body="?"),
    "a body that is a number": message(body=1),
    "a body that is no JSON": with_body("{"),
    "a body without parts": with_body("[]"),
    "arguments that are a number": with_body("[1, {}, {}]"),
    "keywords that are a list": with_body("[[], [1], {}]"),
    "options that are text": with_body('[[], {}, "x"]'),
    "an unknown content type": message(**{"content-type": "application/x-nobody"}),
    "a content type that is refused": message(**{"content-type": "application/x-python-serialize"}),
    "a content type that is a list": message(**{"content-type": [1]}),
    "headers that are text": message(headers="x"),
    "properties that are a list": message(properties=[1]),
    "delivery info that is text": message(properties={"body_encoding": "base64", "delivery_info": "x"}),
    "an unknown compression": message(compression="x-nobody"),
    "a compression that is no text": message(compression=[1]),
    "a body that is not compressed": message(compression="application/x-gzip"),
    "an ETA that is text": message(eta="soon"),
    "an ETA that is an object": message(eta={"a": 1}),
    "an expiry that is text": message(expires="never"),
    "a time limit that is text": message(timelimit="long"),
    "a time limit of one number": message(timelimit=[1]),
    "time limits of text": message(timelimit=["a", "b"]),
    "a negative time limit": message(timelimit=[-1, None]),
    "an id that is an object": message(id={"a": 1}),
    "an id that is a list": message(id=[1]),
    "no id": message(id=None),
    "an empty id": message(id=""),
    "an id of half a character": message(id="\ud800"),
    "an id that is too long": message(id="x" * 5000),
    "a task that is a list": message(task=["proj.add"]),
    "retries that are text": message(retries="many"),
}


def publish(app: Any, data: bytes) -> None:
    app.capa.pubsub.publish(QUEUE, data, raw=True)


def dead(app: Any) -> list[Any]:
    return list(app.capa.pubsub.dead_letters(QUEUE, most=1000, max_bytes=10**6))


@in_every_pool("project", REDIS, RABBITMQ, POSTGRES)
def test_malformed_messages_become_dead_letters_and_the_next_is_served(project: Any, pool: str) -> None:
    app = project.app
    with project.worker("-P", pool, "-c", "2") as worker:
        for data in MALFORMED.values():
            publish(app, data)
        result = app.tasks["proj.add"].delay(1, 2)

        assert 3 == result.get(timeout=30)
        project.wait_until(lambda: len(dead(app)) >= len(MALFORMED))
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(20)
    letters = dead(app)

    assert (0, 0) == (code, project.depth())
    assert sorted(MALFORMED.values()) == sorted(letter.message.data for letter in letters)
    assert [] == [letter for letter in letters if letter.reason == "its consumers rejected it"]
    assert len(MALFORMED) == worker.log.read_bytes().count(b"it was moved to the dead letters")


def test_the_log_names_queue_and_reason_and_not_the_payload(
    memory_app: Any, serving: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(memory_app), caplog.at_level(logging.CRITICAL):
        publish(memory_app, message(task="add", eta="soon", argsrepr="hunter2"))
        publish(memory_app, b'{"password": "hunter2"}')
        assert 3 == memory_app.tasks["add"].delay(1, 2).get(timeout=10)
    said = [record.getMessage() for record in caplog.records if "dead letters" in record.getMessage()]

    assert 2 == len(said)
    assert "queue celery" in said[0]
    assert "its eta is not an ISO 8601 time" in said[0]
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{}", "it has no properties"),
        (b'{"properties": {}}', "it has no body"),
        (b"[]", "it is not a JSON object with headers, properties and a body"),
        (b"\xff\xfe", "it is not JSON"),
    ],
)
def test_the_reason_says_why_it_is_no_task_message(executing: Execution, data: bytes, reason: str) -> None:
    outcome = executing.run(Arrival(data, QUEUE, redelivered=False), lambda: None)

    assert f"InvalidTaskError: not a task message: {reason}" == outcome.reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
HEADERS = [
    *WELL_FORMED["headers"],
    "expires",
    "compression",
    "group",
    "root_id",
    "parent_id",
    "stamped_headers",
]


@given(
    part=st.sampled_from([*WELL_FORMED, *HEADERS, "body text"]),
    value=JSON,
    junk=st.one_of(st.none(), st.binary(max_size=40)),
)
@settings(max_examples=150)
def test_no_message_raises_in_the_worker(
    executing: Execution, part: str, value: Any, junk: bytes | None
) -> None:
    if junk is not None:
        data = junk
    elif part == "body text":
        data = with_body(json.dumps(value))
    else:
        data = message(**{part: value})

    outcome = executing.run(Arrival(data, QUEUE, redelivered=False), lambda: None)

    assert not outcome.dead or outcome.reason


@pytest.fixture(scope="module")
def executing(make_tasks: Any) -> Any:
    """Give the execution of tasks in this process, on memory."""
    import capa_celery
    from capa_core import Runtime, use_runtime

    with use_runtime(Runtime.in_memory()):
        app = make_tasks(capa_celery.Celery)
        app.tasks["proj.add"] = app.tasks["add"]
        yield Execution(app, "here")
