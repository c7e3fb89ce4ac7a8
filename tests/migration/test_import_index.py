"""The import index: every importer of a name is found from the bytes of its file."""

from __future__ import annotations

import ast
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capa_migration.rewrite.scan.import_index import ImportIndex, import_texts, named_imports

MODULE = "app/tasks.py"


@pytest.mark.parametrize(
    "source",
    [
        "from app.tasks import queue",
        "from .tasks import other, queue as q",
        "from . import tasks",
        "from app import tasks",
        "if x:\n    from app.tasks import (  # (a)\n        other,\n        queue,\n    )",
        "from app.tasks \\\n    import other, \\\n    queue",
        "# from here\nfrom .tasks import queue",
        "x = 'from'; from .tasks import queue",
        "from.tasks import(queue)",
        "from .tasks import *",
        "import app.tasks",
        "import os, app.tasks as t",
        "if x: import tasks",
        "import os, \\\n    app.tasks",
        "\ufeffimport tasks",
    ],
)
def test_importer_of_a_name_is_found(source):
    assert {"b.py"} == _importers(source)


@pytest.mark.parametrize(
    "source",
    [
        "from app.other import queue",
        "from .tasks import other",
        "from __future__ import tasks",
        "import app.other",
        "import tasks.app as tasks",
        "# import app.tasks",
        "queue from tasks import",
    ],
)
def test_importer_of_another_name_is_not_found(source):
    assert set() == _importers(source)


def test_importer_by_a_dot_or_by_the_package_name_is_found():
    index = ImportIndex()
    index.note("app/b.py", named_imports(import_texts(b"from . import queue")))
    index.note("c.py", named_imports(import_texts(b"from app import queue")))

    assert {"app/b.py", "c.py"} == index.of("app/__init__.py", ["queue"])


@pytest.mark.parametrize(
    "source",
    ["from app.tasks import x", "from app import tasks", "import app.tasks as t", "from .tasks import *"],
)
def test_module_that_a_file_imports_may_be_imported(source):
    index = ImportIndex()
    index.note("b.py", named_imports(import_texts(source.encode())))

    assert index.may_be_imported(MODULE)


def test_module_that_no_file_names_is_not_imported():
    index = ImportIndex()
    index.note("b.py", named_imports(import_texts(b"from app.other import queue\nimport app\n")))

    assert not index.may_be_imported(MODULE)


PIECES = st.sampled_from(
    ["from", "import", "app.tasks", "tasks", "queue", " ", " ", " ", "\t", "\\\n", "\n", "\r\n", ";", ",", ".",
     "(", ")", "as", "x", "if x:", "'", "#", "*"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=16).map("".join))
def test_no_import_is_missed(text):
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    is_taken = any(
        (node.module or "").rpartition(".")[2] in {"tasks", ""}
        and {"queue", "*"} & {one.name for one in node.names}
        if isinstance(node, ast.ImportFrom)
        else isinstance(node, ast.Import) and {"app.tasks", "tasks"} & {one.name for one in node.names}
        for node in ast.walk(tree)
    )

    assert not is_taken or _importers(text)


def test_objects_are_followed_through_files_that_name_no_sdk(capa, tmp_path):
    for name, source in {
        "a": "import requests\nsession = requests.Session()\n",
        "b": "from d import late\nfrom a import session\n",
        "c": "from b import session as s\ns.get(u)\n",
        "d": "from b import session as late\nlate.put(u)\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(source)
    sites = json.loads(capa("scan", tmp_path, "--json").out)["sites"]

    assert [("c.py", 2, "requests.Session().get"), ("d.py", 2, "requests.Session().put")] == [
        (site["path"], site["line"], site["name"]) for site in sites if site["path"] > "b"
    ]


def _importers(source: str) -> set[str]:
    index = ImportIndex()
    index.note("b.py", named_imports(import_texts(source.encode())))
    return index.of(MODULE, ["queue"])
