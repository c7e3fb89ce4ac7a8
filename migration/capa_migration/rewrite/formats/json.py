"""Survey, plan or result as JSON; the fields are those of the tool's own records, of the version `schema`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from capa_migration.rewrite.formats._engines import choices
from capa_migration.rewrite.projects import Several
from capa_migration.rewrite.report import SCHEMA, Report, plan_data, result_data
from capa_migration.rewrite.scan.libraries import Companion
from capa_migration.rewrite.scan.sites import Site, Survey, added, shapes, sums, total

if TYPE_CHECKING:
    from capa_migration.rewrite.apply import RunResult


def render(report: Report) -> Iterator[str | bytes]:
    """Yield one object."""
    yield json.dumps({**_data(report), "exit": report.exit_code}, indent=2) + "\n"


def render_several(report: Several) -> Iterator[str | bytes]:
    """Yield one object: a survey for each project, under its name, and their total."""
    sums_of_all = added("", (total(one.survey) for one in report.projects))._asdict()
    data = {
        "schema": SCHEMA,
        "projects": [{"name": one.name, **_survey_data(one.survey)} for one in report.projects],
        "total": {key: value for key, value in sums_of_all.items() if key != "sdk"},
        "exit": report.exit_code,
    }
    yield json.dumps(data, indent=2) + "\n"


def _data(report: Report) -> dict[str, Any]:
    if report.command == "scan":
        return _survey_data(report.survey)
    data = plan_data(report.plan)
    if report.done is not None:
        data["recovered"] = result_data(report.done.recovered)
        data["result"] = result_data(report.done.result)
        data["commits"] = list(report.done.commits)
        data["declined"] = report.done.declined
        data |= _engines(report.done)
    return data


def _engines(done: RunResult) -> dict[str, Any]:
    """Return the engines to choose once files were written, as the end of the text lists them."""
    found = choices(done.kept) if done.written else []
    if isinstance(found, str):
        return {"engines": [], "engines_problem": found}
    return {"engines": [one._asdict() for one in found], "engines_problem": None}


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
        "bring": list(survey.bring),
        "passed_over": dict(survey.passed_over),
        "companions": [_companion(one) for one in survey.companions],
        "excluding": [one._asdict() for one in survey.excluding],
        "uncertain": [one._asdict() for one in survey.uncertain],
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
