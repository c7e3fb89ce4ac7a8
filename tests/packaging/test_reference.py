"""The generated reference is up to date with the code."""

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
GENERATOR = runpy.run_path(str(DOCS / "generate.py"))
CORE = runpy.run_path(str(DOCS / "generate_core.py"))


def test_the_types_of_async_code_are_up_to_date():
    generator = runpy.run_path(str(DOCS / "generate_aio.py"))

    assert generator["stub"]() == generator["STUB"].read_text(encoding="utf-8"), (
        "call `make docs` and commit what it writes"
    )


@pytest.mark.parametrize("name", GENERATOR["PAGES"])
def test_a_written_page_is_up_to_date(name):
    page = (DOCS / "reference" / name).read_text(encoding="utf-8")

    assert GENERATOR["PAGES"][name]() == page, "call `make docs` and commit what it writes"


def test_the_entries_of_a_docstring_are_read_with_their_further_lines():
    text = (
        "First line.\n\nAttributes:\n    url: Where it is,\n        and how.\n    port: Which.\n\nMore: text."
    )

    assert {"url": "Where it is, and how.", "port": "Which."} == GENERATOR["_entries"](text, "Attributes")


@pytest.mark.parametrize("path", CORE["FILES"], ids=lambda path: path.name)
def test_a_written_part_of_the_core_is_up_to_date(path):
    text = path.read_text(encoding="utf-8")

    assert CORE["written"](text, CORE["FILES"][path]) == text, "call `make docs` and commit what it writes"
