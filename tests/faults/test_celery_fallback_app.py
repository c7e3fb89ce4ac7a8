"""Celery's fallback application is Capa's: in threads, processes and forks that made no application."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SHOP = """
import os
from capa_celery import Celery
app = Celery("shop", broker=os.environ.get("BROKER"), backend=os.environ.get("BROKER"))
"""
VIEW = """
import json, multiprocessing, os, sys, threading
from capa_celery import current_app, shared_task
from capa_celery.result import AsyncResult

@shared_task(name="add")
def add(x, y): return x + y

def view():
    sent = add.delay(1, 2)
    apps = (current_app._get_current_object(), AsyncResult(sent.id).app, add.app)
    kind = type(AsyncResult(sent.id).backend).__name__
    print(json.dumps([[app.main for app in apps], kind, apps[0].capa.pubsub.depth("celery", "celery")]))
    sys.stdout.flush()

def forked():
    if not os.fork():
        thread()
        os._exit(0)
    os.wait()

def thread():
    one = threading.Thread(target=view)
    one.start()
    one.join()

def process():
    one = multiprocessing.get_context("fork").Process(target=thread)
    one.start()
    one.join()

"""
BROKER = "redis://legacy.invalid:6379/0"
TWO_APPS = 'import shop; from capa_celery import Celery; Celery("other", set_as_current=False)\n'


def seen(folder: Path, program: str, **environ: str) -> object:
    (folder / "shop.py").write_text(SHOP)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("where", ["view", "thread", "process", "forked"])
def test_it_is_the_application_that_the_program_made(tmp_path: Path, where: str) -> None:
    program = f"{TWO_APPS}{VIEW}{where}()"

    assert [["shop"] * 3, "CapaBackend", 1] == seen(tmp_path, program, BROKER=BROKER)


def test_a_program_without_a_result_backend_has_none_there_either(tmp_path: Path) -> None:
    assert [["shop"] * 3, "DisabledBackend", 1] == seen(tmp_path, f"import shop\n{VIEW}thread()")


@pytest.mark.parametrize("before", ["", "import celery; celery.current_app.main\n"], ids=["", "asked before"])
@pytest.mark.parametrize("where", ["view", "thread", "forked"])
def test_a_program_that_made_none_gets_one_of_capa(tmp_path: Path, before: str, where: str) -> None:
    addresses = {"CELERY_BROKER_URL": BROKER, "CELERY_RESULT_BACKEND": BROKER}

    assert [["default"] * 3, "CapaBackend", 1] == seen(tmp_path, f"{before}{VIEW}{where}()", **addresses)


@pytest.mark.parametrize("chosen", ["before", "after"])
def test_the_default_that_a_program_chooses_stays(tmp_path: Path, chosen: str) -> None:
    choose = 'from capa_celery import Celery; Celery("chosen", set_as_current=False).set_default()'
    made = (choose, "import shop") if chosen == "before" else ("import shop", choose)
    program = "\n".join([*made, VIEW, "thread()"])

    assert [["chosen"] * 3, "DisabledBackend", 1] == seen(tmp_path, program, BROKER=BROKER)


def test_an_application_of_celery_itself_can_still_become_the_default(tmp_path: Path) -> None:
    program = (
        "import capa_celery, celery, json\n"
        "from celery import _state\n"
        "print(json.dumps(_state.default_app is None))"  # as Celery's Django fixup asks
    )

    assert seen(tmp_path, program) is True
