"""Calls that no adapter serves are found in whatever way their object comes to them, and on no other object."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterable
from pathlib import Path

from capa_codemods.api import Names, Project, import_map_paths, list_files, read_import_map
from capa_migration.rewrite.clues import Clues
from capa_migration.rewrite.scan.nearby_reader import NearbyReader
from capa_migration.rewrite.scan.results import FileResult
from capa_migration.rewrite.unserved_calls import with_unserved_calls

CALLS = {
    "attribute": "class A:\n    def __init__(self): self.a = app\n"
    "    def f(self): self.a.control.pool_restart()  # here",
    "method": "class A:\n    def a(self): return app\n    def f(self): self.a().control.pool_restart()  # here",
    "property": "class A:\n    @property\n    def a(self): return app\n"
    "    def f(self): self.a.control.pool_restart()  # here",
    "class of the tree": "class A:\n    a = app\n\nclass B(A): pass\n\nB().a.control.pool_restart()  # here",
    "class of the SDK": "class A(Celery):\n    def f(self): self.control.pool_restart()  # here",
    "class of another file": "from .kinds import Mine\nMine().control.election(2, 1)  # here",
    "annotation": "def f(a: Celery):\n    a.control.pool_restart()  # here",
    "annotation in quotes": "def f(a: 'Celery | None'):\n    a.control.pool_restart()  # here",
    "annotated name": "a: Celery\na.control.pool_restart()  # here",
    "task that is bound": "@app.task(bind=True)\ndef f(self):\n    self.app.control.pool_restart()  # here",
    "task of a class": (
        "from celery import Task\nclass Base(Task): pass\n@app.task(bind=True, base=Base)\n"
        "def f(self):\n    self.app.control.pool_restart()  # here"
    ),
    "generic type": "from typing import Optional\ndef f(a: Optional[Celery]):\n    a.control.pool_restart()  # here",
    "union": "def f(a: None | Celery):\n    a.control.pool_restart()  # here",
    "either": "a = x or app\na.control.pool_restart()  # here",
    "context": "with app as a:\n    a.control.pool_restart()  # here",
    "name that an expression binds": "if (a := app):\n    a.control.pool_restart()  # here",
    "pair": "a, b = app, 1\na.control.pool_restart()  # here",
    "condition": "a = app if x else None\nif a.control.pool_restart():  # here\n    pass",
    "loop": "for one in app.control.pool_restart():  # here\n    pass",
    "match": "match app.control.pool_restart():  # here\n    case None: pass",
    "default": "def f(a=app.control.pool_restart()): pass  # here",
    "decorator": "from celery import signals\n@signals.task_rejected.connect  # here\ndef f(): pass",
    "result": "def f():\n    return app.control.pool_restart()  # here",
    "object between": "control = app.control\n\n\ncontrol.pool_restart()  # here",
    "settings between": "conf = app.conf\nconf.worker_consumer = 1  # here",
    "argument": "import kombu\nx.pool_restart\nkombu.Queue('q', max_length=3)  # here",
    "module": "import celery\ncelery.signals.task_rejected.connect(f)  # here",
    "module in a file with a clue": "import celery\nx.pool_restart\ncelery.bin.multi.main()  # here",
    "object of such a call": "r = app.control\n\n\nr.election(2, 1)  # here",
    "parameter": "def f(app):\n    app.control.pool_restart()",
    "own class": "class A:\n    control = None\n\na = A()\na.control.pool_restart()",
    "other object made of it": "a = Wrapper(app)\na.control.pool_restart()",
    "item": "a = [app][0]\na.control.pool_restart()",
    "served call": "app.control.purge()",
    "comment": "x = app  # of app.control.pool_restart",
    "import that stays": "from celery.signals import task_rejected\ntask_rejected.connect(f)",
}
HEAD = "from celery import Celery\nfrom .worker import add, app\n"


def test_each_is_found_where_it_is(tmp_path: Path):
    project, files = _tree(tmp_path)
    clues = Clues(project.names)
    clued = [path for path, text in files.items() if clues.are_in(text.encode())]
    outcomes = with_unserved_calls(project, [], _results(project, clued, clues))
    places = {(one.path, finding.line) for one in outcomes for finding in one.findings}

    assert places == {
        (path, number)
        for path, text in files.items()
        for number, line in enumerate(text.splitlines(), 1)
        if "# here" in line
    }


def test_no_syntax_tree_waits_for_garbage_collection(tmp_path: Path):
    project, files = _tree(tmp_path)
    gc.collect()
    gc.disable()
    try:
        _results(project, files, Clues(project.names))
        del project  # it holds the tree that was read last
        left = [one for one in gc.get_objects() if _is_of(HEAD, one)]
    finally:
        gc.enable()

    assert [] == left


def _tree(root: Path) -> tuple[Project, dict[str, str]]:
    """Write one file for each of `CALLS` below *root*, and return the project and its files."""
    files = {
        "shop/worker.py": "from celery import Celery\napp = Celery()\n\n@app.task\ndef add(): ...\n",
        "shop/kinds.py": "from celery import Celery\n\nclass Mine(Celery): pass\n",
        **{f"shop/{name}.py": HEAD + text for name, text in CALLS.items()},
    }
    (root / "shop").mkdir()
    (root / "requirements.txt").write_text("celery\nkombu\n")
    for path, text in files.items():
        (root / path).write_text(text)
    return Project(str(root), Names(map(read_import_map, import_map_paths())), list_files(str(root))), files


def _results(project: Project, paths: Iterable[str], clues: Clues) -> dict[str, FileResult]:
    reader = NearbyReader(project, clues)
    found = {path: reader.results(path) for path in reader.concerned(paths)}
    return {path: result for path, result in found.items() if result is not None}


def _is_of(head: str, one: object) -> bool:
    """Return whether *one* is the tree of a module that begins with *head*."""
    # Not `isinstance`, which asks a lazy object of Django for its class.
    return type(one) is ast.Module and ast.dump(ast.Module(one.body[:2], [])) == ast.dump(ast.parse(head))
