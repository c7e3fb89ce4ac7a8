"""Celery's own unit tests on its in-memory broker and on Capa, compared test by test. The whole, in four minutes:

.venv/bin/python tests/adapters/celery/celery_own_suite.py

The tests make their applications through `celery.contrib.testing.app`; on the second side that makes Capa's, on memory
drivers. Nothing else differs. Tests that put a mock in the place of kombu's producer, connection or mailbox cannot
see what Capa does: they are listed, with the reason, in `KNOWN`.
"""

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from foreign_suite import Compared, Suite, copy_of, outcomes, outcomes_before, prepared

PLUGIN = """
import threading

import celery.contrib.testing.app
import pytest

import capa_celery
from capa_core import Runtime, use_runtime

celery.contrib.testing.app.Celery = capa_celery.Celery


@pytest.fixture(autouse=True)
def _capa_in_memory():
    with use_runtime(Runtime.in_memory()):
        yield
    for thread in threading.enumerate():
        if thread.name == "capa-revoked":  # it ends with its last wait, some seconds after its worker
            thread.join(10)
"""

SUITE = Suite(
    project="celery",
    version="5.7.0",
    requirements=(
        "celery[msgpack,yaml]==5.7.0",
        *(
            "pytest",
            "pytest-timeout",
            "pytest-subtests",
            "pytest-click",
            "pytest-order",
            "pytest-rerunfailures",
        ),
        *("freezegun", "moto", "boto3", "gevent", "pydantic"),
    ),
    extra="celery",
    whole=(
        *("t/unit/tasks", "t/unit/app", "t/unit/test_canvas.py", "t/unit/test_generics.py", "t/unit/contrib"),
        *("t/unit/backends/test_base.py", "t/unit/fixups", "t/unit/security", "t/unit/utils"),
    ),
    chosen=(
        *(f"t/unit/tasks/test_{name}.py" for name in ("canvas", "chord", "result", "states", "tasks")),
        *("t/unit/test_canvas.py", "t/unit/app/test_routes.py", "t/unit/app/test_schedules.py"),
    ),
)

KNOWN = {
    "a mock of kombu's producer sees nothing": (
        r"test_amqp_callback_publish::.*",
        r"test_amqp\.test_AMQP::test_send_(task_message__|event_exchange|task_sent_event).*",
        r"test_trace\.test_trace::test_(refused_publish|grouped_callbacks_publish).*",
        r"test_app\.test_App::test_send_task_(sent_event|without_ignore_result).*",
        r"test_chord\.test_unlock_chord_task::test_callback_publish_retry_keeps_the_ready_header",
        r"test_amqp\.test_as_task_v2::test_compression.*",
        r"test_amqp\.test_AMQP::test_before_task_publish_can_modify_retry_policy.*",
    ),
    "connections and their pool are Capa's": (
        r"test_app\.test_App::test_amqp_.*",
        r"test_app\.test_App::test_(producer_or_acquire|send_task_raises_on_pool).*",
        r"test_amqp\.test_TaskConsumer::.*",
        r"test_beat\.test_(BeatPidbox::test_fanout|SchedulerShutdown::test_base_publishing).*",
    ),
    "a task with an ETA waits in the engine, not in its queue": (
        r"test_tasks\.test_tasks::test_regular_task",
    ),
    "the watch for revoked tasks ends some seconds after its worker": (
        r"test_backends\.test_backends::test_backend_thread_safety",
    ),
    "the scheduler that keeps a file is replaced by Capa's": (
        r"test_beat\.test_SchedulerShutdown::test_persistent_close.*",
    ),
    "remote control is refused": (r"test_control\.test_Control.*",),
    "the backend is Capa's, one for all threads, and waits without polling": (
        r"test_app\.test_App::test_thread_backend",
        r"test_result\.test_AsyncResult::test_get_timeout.*",
        r"test_trace\.test_trace::test_deduplicate_successful_tasks__.*",
    ),
}


def unexpected(compared: Compared) -> dict[str, tuple[str, str]]:
    """Return the tests that passed on Celery, did not on Capa, and are not known to."""
    known = re.compile("|".join(pattern for patterns in KNOWN.values() for pattern in patterns))
    return {
        name: pair
        for name, pair in compared.different.items()
        if pair[0] == "passed" and not known.search(name)
    }


def compare(arguments: Sequence[str]) -> Compared:
    """Run the tests that *arguments* name on both sides.

    Raises:
        UnavailableError: Celery's source or the requirements of its tests cannot be fetched.
    """
    folder, python = prepared(SUITE)
    options = ("-p", "celery.contrib.pytest", "--timeout=60", *arguments)
    before = outcomes_before(
        SUITE, python, options, lambda: outcomes(python, _copy_without_celery(folder, "before"), options)
    )
    after = _copy_without_celery(folder, "after")
    (after / "over_capa.py").write_text(PLUGIN)
    return Compared(before, outcomes(python, after, ("-p", "over_capa", *options)))


def _copy_without_celery(folder: Path, side: str) -> Path:
    copy = copy_of(SUITE, folder, side)
    shutil.rmtree(copy / "celery")  # the installed one is tested
    return copy


if __name__ == "__main__":
    result = compare(sys.argv[1:] or SUITE.whole)
    print(result.report())
    print(f"of these unexpected: {list(unexpected(result))}")
    sys.exit(1 if unexpected(result) or not result.passed else 0)
