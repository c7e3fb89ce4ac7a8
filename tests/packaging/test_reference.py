"""The generated reference is up to date with the code."""

import runpy
import tomllib
from pathlib import Path

import pytest
from reliability.page import PAGE, page

from capa_core import declared

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
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


def test_the_page_of_reliability_says_what_its_results_say():
    assert page() == PAGE.read_text(encoding="utf-8"), "call `make docs` and commit what it writes"


def test_the_entries_of_a_docstring_are_read_with_their_further_lines():
    text = (
        "First line.\n\nAttributes:\n    url: Where it is,\n        and how.\n    port: Which.\n\nMore: text."
    )

    assert {"url": "Where it is, and how.", "port": "Which."} == GENERATOR["_entries"](text, "Attributes")


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("adapters/*/import_map.toml")), ids=lambda path: path.parent.name
)
def test_each_module_and_name_of_an_original_is_served_or_listed(path):
    assert [] == GENERATOR["unlisted"](tomllib.loads(path.read_text()))


def test_a_module_and_a_name_that_an_adapter_lacks_are_found():
    data = tomllib.loads((ROOT / "adapters/capa_requests/import_map.toml").read_text())
    del data["modules"]["requests._types"]
    data["modules"]["requests.auth"] = "capa_requests.status_codes"
    found = GENERATOR["unlisted"](data)

    assert {"requests._types", "requests.auth.HTTPBasicAuth"} <= set(found)
    assert "requests.auth.os" not in found


def test_the_abilities_that_are_known_without_drivers_are_those_that_they_declare():
    assert declared.written() == declared.FILE.read_text(encoding="utf-8"), (
        "call `make docs` and commit what it writes"
    )


@pytest.mark.parametrize("path", CORE["FILES"], ids=lambda path: path.name)
def test_a_written_part_of_the_core_is_up_to_date(path):
    text = path.read_text(encoding="utf-8")

    assert CORE["written"](text, CORE["FILES"][path]) == text, "call `make docs` and commit what it writes"
