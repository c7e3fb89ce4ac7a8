"""Survey, plan or result as JSON; the fields are those of the tool's own records, of the version `schema`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from capa_migration.rewrite.report import SCHEMA, Report, plan_data, result_data
from capa_migration.rewrite.scan.libraries import Companion
from capa_migration.rewrite.scan.sites import Site, Survey, shapes, sums


def render(report: Report) -> Iterator[str | bytes]:
    """Yield one object."""
    yield json.dumps({**_data(report), "exit": report.exit_code}, indent=2) + "\n"


def _data(report: Report) -> dict[str, Any]:
    if report.command == "scan":
        return _survey_data(report.survey)
    data = plan_data(report.plan)
    if report.done is not None:
        data["recovered"] = result_data(report.done.recovered)
        data["result"] = result_data(report.done.result)
        data["commits"] = list(report.done.commits)
        data["declined"] = report.done.declined
    return data


def _survey_data(survey: Survey) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "root": survey.root,
        "seen": survey.seen,
        "sdks": [line._asdict() for line in sums(survey.sites, survey.moved)],
        "shapes": [
            {"sdk": sdk, "name": name, "count": number}
            for (sdk, name), number in shapes(survey.sites).most_common()
        ],
        "sites": [_site(site) for site in survey.sites],
        "moved": [_site(site) for site in survey.moved],
        "commands": [command._asdict() for command in survey.commands],
        "companions": [_companion(one) for one in survey.companions],
        "unread": [file._asdict() for file in survey.unread],
    }


def _site(site: Site) -> dict[str, Any]:
    return {**site._asdict(), "id": site.reason_id}


def _companion(one: Companion) -> dict[str, Any]:
    return {
        **one.library._asdict(),
        "id": one.library.id,
        "places": [place._asdict() for place in one.places],
    }
