"""`capa explain`: each message carries an ID, and each ID has its paragraph."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from capa_codemods.api import reason_id, rule_offers
from capa_core import errors
from capa_migration.rewrite import explain
from capa_migration.rewrite.scan.libraries import libraries
from capa_migration.rewrite.scan.survey import known_maps

ADAPTERS = Path(__file__).parents[2] / "adapters"
ID_AT_THE_END = re.compile(r" \[([a-z/_.-]+)\]$")


def test_no_id_has_two_meanings():
    ids = [one.id for one in explain.explanations()]

    assert sorted(set(ids)) == sorted(ids)


def test_every_reason_rule_library_and_error_is_explained():
    wanted = {
        *(reason_id(line.see) for one in known_maps() for line in (*one.names, *one.commands) if line.see),
        *(offer.id for offer in rule_offers()),
        *(one.id for one in libraries()),
        *(kind.code for kind in vars(errors).values() if hasattr(kind, "code")),
    }

    assert set() == wanted - {one.id for one in explain.explanations()}


def test_every_section_that_an_adapter_names_in_a_message_is_explained():
    named = {
        f"{one.name}/{section}"
        for one in known_maps()
        for path in (ADAPTERS / one.package).rglob("*.py")
        for section in sections_in(path)
    }

    assert {"celery/pools", "celery/autoscale", "apollo/expressions"} <= named
    assert set() == named - {one.id for one in explain.explanations()}


def sections_in(path: Path) -> Iterator[str]:
    """Yield the sections that calls of `not_served`, `unsupported` and `details` in a module name."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Name(id="details"), args=[_, ast.Constant(value=str(section))]):
                yield section
            case ast.keyword(arg="section", value=ast.Constant(value=str(section))):
                yield section


def test_a_reason_is_printed_with_its_paragraph(capa):
    ran = capa("explain", "celery/rate-limits")

    assert 0 == ran.code
    assert "celery/rate-limits: Celery: Rate limits\n\n`rate_limit`, `task_default_rate_limit` and" in ran.out


def test_rule_is_printed_with_the_cases_it_leaves(capa):
    ran = capa("explain", "imports")

    assert "Left alone: relative imports" in ran.out


def test_an_explanation_as_data_names_its_page(capa):
    data = json.loads(capa("explain", "celery/rate-limits", "--json").out)["explanations"][0]

    assert ["celery/rate-limits", "differences/celery.md#rate-limits"] == [data["id"], data["page"]]


def test_without_an_id_every_explanation_is_listed(capa):
    listed = capa("explain").out.splitlines()

    assert 1 + len(list(explain.explanations())) == len(listed)


@pytest.mark.parametrize("words", ["celery", "celery/"])
def test_the_name_of_an_sdk_lists_the_ids_below_it(capa, words):
    ran = capa("explain", words)
    data = json.loads(capa("explain", words, "--json").out)["explanations"]

    ids = [one.id for one in explain.explanations() if one.id.startswith("celery/")]
    assert (0, ids) == (ran.code, [line.split()[0] for line in ran.out.splitlines()[1:]])
    assert ids == [one["id"] for one in data]


def test_an_unknown_id_names_the_nearest_one(capa):
    ran = capa("explain", "celery/rate-limit")

    assert (3, "") == (ran.code, ran.out)
    assert "did you mean `celery/rate-limits`?" in ran.err


@pytest.mark.parametrize("command", [("scan",), ("migrate", "check")])
def test_every_line_about_a_place_ends_with_an_id_that_is_explained(capa, tmp_path, command):
    (tmp_path / "a.py").write_text("import redis\nfrom gone import *\nimport sdk.a\nimport responses\n")
    (tmp_path / "b.py").write_text("import requests\nprint requests.get\n")

    lines = capa(*command, tmp_path).out.splitlines()

    about = [line for line in lines if re.match(r"(?:[ab]\.py:|  )\d+(?!.*(→|: full$))", line)]
    ids = {found[1] for line in about if (found := ID_AT_THE_END.search(line))}
    assert about
    assert [] == [line for line in about if not ID_AT_THE_END.search(line)]
    assert set() == ids - {one.id for one in explain.explanations()}


def test_the_url_of_a_page_follows_from_the_metadata_of_the_distribution(monkeypatch, request):
    request.addfinalizer(explain._documentation.cache_clear)
    explain._documentation.cache_clear()
    urls = {"Project-URL": ["Source, https://example.org/capa", "Documentation, https://example.org/docs/"]}
    monkeypatch.setattr("importlib.metadata.metadata", lambda _: type("M", (), {"get_all": urls.get}))

    url = explain.explain("celery/pools").url

    assert "https://example.org/docs/differences/celery.md#pools" == url
