"""Notebooks: code cells are rewritten inside their JSON, and nothing else of the file changes."""

from __future__ import annotations

import json

import pytest


def _notebook(*cells: object, **options: object) -> str:
    items = [
        cell
        if isinstance(cell, dict)
        else {"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [], "source": cell}
        for cell in cells
    ]
    return json.dumps({"cells": items, "metadata": {"a": "é"}, "nbformat": 4, "nbformat_minor": 5}, **options)


def _sources(data: bytes) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(data)["cells"]]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["import requests"], ["import capa_requests as requests"]),
        (["import os\n", "import requests\n", "x = 1"], ["import os\n", "import capa_requests as requests\n", "x = 1"]),
        ("import requests\nrequests.get('é\"\\n')", "import capa_requests as requests\nrequests.get('é\"\\n')"),
        (["%matplotlib inline\n", "!pip install requests\n", "from requests import get"],
         ["%matplotlib inline\n", "!pip install requests\n", "from capa_requests import get"]),
        (["%%time\n", "import requests"], ["%%time\n", "import capa_requests as requests"]),
        (["x = '\U0001f600\\t'; import requests"], ["x = '\U0001f600\\t'; import capa_requests as requests"]),
        (["patch('requests.get')"], ["patch('capa_requests.get')"]),
        (["from requests import get, packages"], ["from capa_requests import get\nfrom requests import packages"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("options", [{"indent": 1}, {}, {"indent": 1, "ensure_ascii": False}])
def test_code_cell_is_rewritten(rewritten, before, after, options):
    result = rewritten(_notebook("y = 2", before, **options), "book.ipynb")

    assert "changed" == result.outcome.status
    assert ["y = 2", "".join(after)] == _sources(result.text)


def test_everything_else_keeps_its_bytes(rewritten):
    text = _notebook(
        {"cell_type": "markdown", "metadata": {}, "source": ["import requests"]},
        ["import requests"],
        indent=3,
    )
    text = (
        text.replace('"outputs": []', '"outputs" :  [ {"data": {"text/plain": ["import requests"]}} ]')
        + "\n\n"
    )

    result = rewritten(text, "book.ipynb")

    before, _, rest = text.rpartition("import requests")
    assert (before + "import capa_requests as requests" + rest).encode() == result.text


@pytest.mark.parametrize(
    "cell",
    [
        ["%%bash\n", "import requests"],
        ["x = 1  # requests"],
        {"cell_type": "raw", "metadata": {}, "source": "import requests"},
    ],
)
def test_other_cells_stay(rewritten, cell):
    text = _notebook(cell)

    assert text.encode() == rewritten(text, "book.ipynb").text


def test_cell_that_is_no_python_is_reported(rewritten):
    text = _notebook(["import requests\n", "x = !ls"], indent=1)

    (finding,) = rewritten(text, "book.ipynb").outcome.findings

    assert finding.message.startswith("cell 0 cannot be read: not Python")
    assert "x = !ls" in text.splitlines()[finding.line - 1]


@pytest.mark.parametrize(
    "comment", ["# capa: ignore", "# capa: ignore[imports]", "# capa: ignore[notebooks]"]
)
def test_ignore_comment_counts_on_the_last_line_of_a_statement(rewritten, comment):
    text = _notebook(["from requests import (\n", "    get,\n", f")  {comment}\n", "import celery"], indent=1)

    result = rewritten(text, "book.ipynb")

    assert text.replace("import celery", "import capa_celery as celery").encode() == result.text


def test_ignore_comment_counts_in_its_own_cell_line_where_the_notebook_is_one_line(rewritten):
    text = _notebook(["import requests  # capa: ignore\n", "import celery"], ["patch('requests.get')"])

    result = rewritten(text, "book.ipynb")

    assert [
        "import requests  # capa: ignore\nimport capa_celery as celery",
        "patch('capa_requests.get')",
    ] == _sources(result.text)


@pytest.mark.parametrize("rule", ["strings", "notebooks"])
def test_ignore_comment_names_the_rule_that_it_keeps_away(rewritten, rule):
    cell = f"patch('requests.get')  # capa: ignore[{rule}]"

    assert [cell] == _sources(rewritten(_notebook([cell]), "book.ipynb").text)


def test_ignore_comment_of_another_rule_keeps_nothing(rewritten):
    text = _notebook(["import requests  # capa: ignore[strings]"])

    assert b"import capa_requests" in rewritten(text, "book.ipynb").text


@pytest.mark.parametrize(
    ("cell", "lines"),
    [
        (["x = '# capa: ignore[import]'\n", "import requests"], []),
        (["import os\n", "import requests  # capa: ignore[import]"], ["import requests"]),
        (["%%bash\n", "pip install requests capa-core[requests]  # capa: ignore[import]"], ["pip install"]),
    ],
)
def test_ignore_comment_of_no_rule_is_reported_in_its_line(rewritten, cell, lines):
    text = _notebook(cell, indent=1)

    findings = rewritten(text, "book.ipynb").outcome.findings

    assert ["ignore" for _ in lines] == [finding.rule for finding in findings]
    assert all(line in text.splitlines()[found.line - 1] for line, found in zip(lines, findings, strict=True))


def test_ignore_comment_in_a_cell_that_is_no_python_keeps_the_report_away(rewritten):
    text = _notebook(["import requests  # capa: ignore\n", "x = !ls"])

    assert [] == rewritten(text, "book.ipynb").messages


@pytest.mark.parametrize(
    "metadata",
    [
        {"kernelspec": {"language": "R", "name": "ir"}},
        {"language_info": {"name": "julia"}},
    ],
)
def test_notebook_in_another_language_stays(rewritten, metadata):
    text = _notebook(["import requests\n", "!pip install requests"]).replace(
        '{"a": "\\u00e9"}', json.dumps(metadata)
    )

    result = rewritten(text, "book.ipynb")

    assert (text.encode(), []) == (result.text, result.messages)


@pytest.mark.parametrize(
    "metadata",
    [{"kernelspec": {"language": "python"}}, {"kernelspec": 1, "language_info": {"name": "ipython"}}, []],
)
def test_notebook_in_python_is_rewritten(rewritten, metadata):
    text = _notebook(["import requests"]).replace('{"a": "\\u00e9"}', json.dumps(metadata))

    assert b"import capa_requests as requests" in rewritten(text, "book.ipynb").text


@pytest.mark.parametrize(
    ("cell", "command"),
    [
        (["x = 1\n", "%pip install requests"], "pip install requests"),
        (["if x:\n", "    !pip install -U \\\n", "      requests"], "pip install -U requests"),
        (["out = !pip install requests"], "pip install requests"),
        (["%%bash\n", "cd x\n", "pip install requests"], "pip install requests"),
        (["%%script bash\n", "pip install requests  # http"], "pip install requests"),
    ],
)
def test_command_in_a_cell_is_named(rewritten, cell, command):
    text = _notebook(cell, indent=1)

    (finding,) = rewritten(text, "book.ipynb").outcome.findings

    assert f"`{command}` installs an SDK and not capa-core[requests]" == finding.message
    assert "install" in text.splitlines()[finding.line - 1]


@pytest.mark.parametrize(
    "cell",
    [
        ["pip = 'pip install requests'\n", "x = 5 % 2 != 1"],
        ["%%html\n", "pip install requests"],
        ["!echo requests\n", "pip.install(requests)"],
        ["!pip install requests  # capa: ignore[commands]"],
        ["!pip install requests 'capa-core[requests]'"],
    ],
)
def test_cell_without_such_a_command_is_not_named(rewritten, cell):
    assert [] == rewritten(_notebook(cell), "book.ipynb").messages


def test_finding_names_the_line_of_the_file(rewritten):
    text = _notebook(["x = 1\n", "import requests.foo"], indent=1)

    (finding,) = rewritten(text, "book.ipynb").outcome.findings

    assert "import requests.foo" in text.splitlines()[finding.line - 1]


@pytest.mark.parametrize(
    "text", ["requests", "[1, requests", '{"cells": requests', "[" * 100_000 + "requests"]
)
def test_a_malformed_notebook_is_a_finding(rewritten, text):
    outcome = rewritten(text, "book.ipynb").outcome

    assert "failed" == outcome.status
    assert outcome.reason.startswith("not JSON")


@pytest.mark.parametrize(
    "tree",
    [
        ["requests"],
        {"requests": 1},
        {"cells": {"0": {"source": "import requests"}}},
        {"cells": ["requests"]},
        {"worksheets": [{"cells": [{"cell_type": "code", "input": "import requests"}]}], "nbformat": 3},
    ],
)
def test_json_that_is_no_notebook_of_today_is_a_finding(rewritten, tree):
    outcome = rewritten(json.dumps(tree), "book.ipynb").outcome

    assert ("failed", "no notebook of format 4") == (outcome.status, outcome.reason)


@pytest.mark.parametrize(
    "text",
    [
        '{"cells": {"x": {"source": "import requests"}}, "cells": []}',
        '{"cells": [{"cell_type": "code", "source": 1}, {"cell_type": "code"}], "requests": 1}',
        '{"cells": [{"cell_type": "code", "source": []}, {"cell_type": "code", "source": [""]}], "requests": 1}',
    ],
)
def test_odd_cells_are_passed_over(rewritten, text):
    outcome = rewritten(text, "book.ipynb").outcome

    assert ("clean", ()) == (outcome.status, outcome.findings)


def test_half_a_letter_is_no_python(rewritten):
    result = rewritten(_notebook(["import requests\n", "x = '\ud800'"]), "book.ipynb")

    assert result.messages[0].startswith("cell 0 cannot be read: not Python")


@pytest.mark.parametrize(
    "new",
    [
        _notebook(["import capa_requests"]),
        _notebook(["import capa_requests as requests"], ["x"]),
        _notebook({"cell_type": "markdown", "metadata": {}, "source": "x"}),
        "{",
    ],
)
def test_proof_refuses_other_changes(names, new):
    from capa_codemods.proof.notebook import flaw_of_notebook
    from capa_codemods.read.notebook_file import NotebookFile

    file = NotebookFile("book.ipynb", _notebook(["import requests"]).encode())

    assert flaw_of_notebook(file, new.encode(), names)
