"""`capa scan` reads the code cells of notebooks as it reads Python files; a place is a line of the JSON."""

from __future__ import annotations

import json

import pytest


def _notebook(*cells: object) -> str:
    items = [
        cell
        if isinstance(cell, dict)
        else {"cell_type": "code", "metadata": {}, "outputs": [], "source": cell}
        for cell in cells
    ]
    return json.dumps({"cells": items, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)


@pytest.fixture
def scan(capa, tmp_path):
    """Return the results of a scan of a notebook of these cells; places as the text of their lines."""

    def run(*cells: object) -> dict[str, list[tuple[str, ...]]]:
        text = _notebook(*cells)
        (tmp_path / "book.ipynb").write_text(text)
        data = json.loads(capa("scan", tmp_path, "--json").out)
        lines = ["", *text.splitlines()]
        shapes = [
            (f"{one['name']}({','.join(one['arguments'])})", one["support"], lines[one["line"]].strip())
            for one in data["sites"]
            if one["path"] == "book.ipynb"
        ]
        return {
            "sites": shapes,
            "unread": [(one["reason"], lines[one["line"]].strip()) for one in data["unread"]],
        }

    return run


def test_calls_are_followed_from_cell_to_cell(scan):
    found = scan(
        ["import requests\n", "s = requests.Session()"],
        {"cell_type": "markdown", "metadata": {}, "source": ["import requests"]},
        ["r = s.get('é',\n", "          proxies=p)\n", "r.raise_for_status()"],
    )

    assert [
        ("requests()", "full", r'"import requests\n",'),
        ("requests.Session()", "full", '"s = requests.Session()"'),
        ("requests.Session().get(*,proxies)", "full", r""""r = s.get('\u00e9',\n","""),
        ("requests.Session().get().raise_for_status()", "full", '"r.raise_for_status()"'),
    ] == found["sites"]


def test_cell_of_one_string_is_on_one_line(scan):
    found = scan("import redis\nredis.Redis()\n")

    assert [r'"source": "import redis\nredis.Redis()\n"'] * 2 == [place for *_, place in found["sites"]]


@pytest.mark.parametrize(
    "cell",
    [
        ["%%bash\n", "import requests"],
        ["%timeit requests.get(u)\n", "!requests.get(u)\n", "?requests.get"],
        {"cell_type": "raw", "metadata": {}, "source": ["requests.get(u)"]},
    ],
)
def test_magics_and_cells_for_other_programs_are_not_followed(scan, cell):
    found = scan(["import requests"], cell)

    assert ["requests()"] == [name for name, *_ in found["sites"]]
    assert [] == found["unread"]


def test_cell_that_times_itself_is_followed(scan):
    assert "requests.get(*)" in [
        name for name, *_ in scan(["%%time\n", "import requests\n", "requests.get(u)"])["sites"]
    ]


def test_await_needs_no_function_in_a_cell(scan):
    found = scan(["from celery import Celery\n", "await Celery().send_task('x')"])

    assert "celery.Celery().send_task(*)" in [name for name, *_ in found["sites"]]


def test_cell_that_cannot_be_read_is_named_and_the_others_are_counted(scan):
    found = scan(
        ["import requests"], ["x = 1\n", "y = !ls\n", "requests.get(u)"], ["requests.put(u)"], ["z = !ls"]
    )
    ((reason, place),) = found["unread"]

    assert ["requests()", "requests.put(*)"] == [name for name, *_ in found["sites"]]
    assert (r'"y = !ls\n",', True) == (place, reason.startswith("cell 1 cannot be read: not Python"))


def test_objects_of_modules_are_followed_into_a_notebook(scan, tmp_path):
    (tmp_path / "tasks.py").write_text(
        "from celery import Celery\napp = Celery()\n@app.task\ndef add(): ...\n"
    )

    assert [("celery.Task().delay(*)", "full", '"add.delay(1)"')] == scan(
        ["from tasks import add\n", "add.delay(1)"]
    )["sites"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{requests", [("book.ipynb", "not JSON")]),
        ('["requests"]', [("book.ipynb", "no notebook of format 4")]),
        ("{}", []),
        ("", []),
    ],
)
def test_notebook_that_cannot_be_read_is_named_if_it_names_an_sdk(capa, tmp_path, text, expected):
    (tmp_path / "book.ipynb").write_text(text)

    ran = capa("scan", tmp_path, "--json")
    unread = json.loads(ran.out)["unread"]

    assert (2 if expected else 0) == ran.code
    assert expected == [(one["path"], one["reason"].partition(":")[0]) for one in unread]


def test_copies_that_jupyter_keeps_are_not_counted(capa, tmp_path):
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints/book-checkpoint.ipynb").write_text(_notebook(["import requests"]))

    assert "no SDK is used in 0 files of Python\n" == capa("scan", tmp_path).out


def test_moved_call_in_a_notebook_is_listed_under_its_old_name(capa, tmp_path):
    (tmp_path / "book.ipynb").write_text(
        _notebook(["import requests\n", "s = requests.Session()"], ["s.get(u)"])
    )
    before = json.loads(capa("scan", tmp_path, "--json").out)
    capa("migrate", "apply", tmp_path)
    after = json.loads(capa("scan", tmp_path, "--json").out)

    assert (3, []) == (len(before["sites"]), after["sites"])
    assert before["sites"] == after["moved"]


def test_libraries_around_an_sdk_are_seen_in_cells(capa, tmp_path):
    (tmp_path / "book.ipynb").write_text(_notebook(["import requests\n", "import requests_mock"]))

    (one,) = json.loads(capa("scan", tmp_path, "--json").out)["companions"]

    assert ("requests-mock", [{"path": "book.ipynb", "line": 9}]) == (one["name"], one["places"])


def test_sarif_and_page_place_a_call_in_the_notebook(capa, tmp_path):
    (tmp_path / "book.ipynb").write_text(_notebook(["import redis\n", "redis.Redis()"]))
    sarif = json.loads(capa("scan", tmp_path, "--format", "sarif").out)
    (import_, call) = (one["locations"][0]["physicalLocation"] for one in sarif["runs"][0]["results"])

    assert "book.ipynb" == call["artifactLocation"]["uri"]
    assert (8, 9) == (import_["region"]["startLine"], call["region"]["startLine"])
    assert 0 == capa("report", tmp_path).code
