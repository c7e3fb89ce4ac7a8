"""Explanations on the page, quoted from docs/differences."""

from __future__ import annotations

from capa_migration.rewrite.page.explanations import explanations
from capa_migration.rewrite.scan.survey import known_maps


def _explained(*links: str):
    return explanations([{"see": see} for see in links])


def test_every_link_of_an_import_map_leads_to_a_section():
    links = {line.see for one in known_maps() for line in (*one.names, *one.commands) if line.see}

    assert links == {section["see"] for section in _explained(*links)}


def test_a_section_is_quoted_with_its_kinds_of_blocks():
    (addresses,) = _explained("docs/differences/celery.md#addresses")

    assert "Celery: Addresses" == addresses["title"]
    assert ["text", "code", "text", "text", "list", "text", "code"] == [
        one["kind"] for one in addresses["blocks"]
    ]
    assert addresses["blocks"][1]["text"].startswith("[pubsub.celery]\ndriver = ")
    assert 3 == len(addresses["blocks"][4]["items"])


def test_a_section_ends_before_the_next():
    (rates,) = _explained("docs/differences/celery.md#rate-limits")

    (text,) = (one["text"] for one in rates["blocks"])
    assert text.startswith(
        "`rate_limit`, `task_default_rate_limit` and `app.control.rate_limit()` work as in Celery"
    )
    assert text.endswith("an error that names the task.")


def test_paths_that_lead_nowhere_are_left_out():
    assert [] == _explained("", "docs/differences/celery.md#nowhere", "docs/differences/none.md#a")
