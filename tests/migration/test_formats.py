"""`--format` and `--output`: contents of each format, valid for its readers, and the output file."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import jsonschema
import pytest

from capa_codemods.findings import Change, Edit
from capa_codemods.write.splice import splice
from capa_migration.rewrite import formats
from capa_migration.rewrite.formats import sarif
from capa_migration.rewrite.report import arrow

SCHEMA = json.loads(Path(__file__).with_name("sarif-2.1.0.schema.json").read_text())


def _sarif(text: str) -> dict:
    """Return the one run of the log *text*, which is valid by the official schema."""
    log = json.loads(text)
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    return log["runs"][0]


@pytest.fixture
def odd(project):
    """Return the project with a finding, a failure, and a change of two lines behind a character of two bytes."""
    (project / "app/odd.py").write_text("import requests.foo\n")
    (project / "app/old.py").write_text("import requests\nprint 'x'\n")
    (project / "app/é, 1%.py").write_text("'é'; import requests\n")
    return project


@pytest.mark.parametrize(
    "command", [["scan"], ["migrate", "check"], ["migrate", "diff"], ["migrate", "apply"]]
)
def test_sarif_is_valid_by_the_official_schema(capa, odd, command):
    run = _sarif(capa(*command, odd, "--format", "sarif").out)

    assert run["results"]
    assert {result["ruleId"] for result in run["results"]} == {
        rule["id"] for rule in run["tool"]["driver"]["rules"]
    }
    assert all(
        run["tool"]["driver"]["rules"][one["ruleIndex"]]["id"] == one["ruleId"] for one in run["results"]
    )


def test_sarif_fixes_are_the_edits_of_apply(capa, odd):
    run = _sarif(capa("migrate", "check", odd, "--format", "sarif").out)
    fixed = {}
    for path in odd.rglob("*.py"):
        uri = quote(path.relative_to(odd).as_posix())
        fixed[path] = splice(path.read_bytes(), [_edit(one) for one in _replacements(run, uri)])
    capa("migrate", "apply", odd)

    assert fixed == {path: path.read_bytes() for path in fixed}


def test_sarif_holds_level_place_and_columns_in_characters(capa, odd):
    run = _sarif(capa("migrate", "check", odd, "--format", "sarif").out)
    (odd_letter,) = [one for one in run["results"] if "%C3%A9" in json.dumps(one)]
    levels = {result["ruleId"]: result["level"] for result in run["results"]}

    assert "unicodeCodePoints" == run["columnKind"]
    assert {
        "startLine": 1,
        "startColumn": 13,
        "endLine": 1,
        "endColumn": 21,
        "byteOffset": 13,
        "byteLength": 8,
    } == (odd_letter["fixes"][0]["artifactChanges"][0]["replacements"][0]["deletedRegion"])
    assert ("error", "warning") == (levels["unreadable"], levels["strings"])
    assert {"executionSuccessful": False, "exitCode": 2} == run["invocations"][0]


def test_sarif_after_apply_holds_the_remaining_findings(capa, odd):
    run = _sarif(capa("migrate", "apply", odd, "--format", "sarif").out)

    assert ["app/old.py", "app/odd.py"] == [
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in run["results"]
    ]


def test_sarif_keeps_the_gravest_results_up_to_the_limit_of_github(capa, odd, monkeypatch):
    monkeypatch.setattr(sarif, "_MAX_RESULTS", 2)

    run = _sarif(capa("migrate", "check", odd, "--format", "sarif").out)
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]

    assert ["error", "warning"] == [result["level"] for result in run["results"]]
    assert notification["message"]["text"].endswith(" more results are left out: --format json holds them.")


def test_github_annotates_lines_and_escapes_separators(capa, odd):
    ran = capa("migrate", "check", odd, "--format", "github")
    lines = ran.out.splitlines()

    assert 2 == ran.code
    assert lines[0].startswith("::error file=app/old.py,line=2,title=capa%3A unreadable::not Python")
    assert (
        "::warning file=app/é%2C 1%25.py,line=1,title=capa%3A imports::'é'; import requests → "
        f"'é'; import capa_requests as requests. Next: `capa migrate apply {odd}`." in lines
    )
    assert all(line.startswith(("::error file=", "::warning file=")) for line in lines)


def test_places_are_relative_to_the_top_of_the_repository(capa, project, git):
    (project / "app" / "pyproject.toml").write_text("")

    ran = capa("migrate", "check", project / "app", "--format", "github")

    assert "::warning file=app/api.py,line=1," in ran.out


def test_markdown_has_a_table_of_rules_and_folds_the_places(capa, project):
    (project / "app/bar.py").write_text("import requests  # a | `b`\n")

    ran = capa("migrate", "check", project, "--format", "markdown")

    assert (
        "### Capa: 4 files would change, 4 proven; 6 files checked\n\n| rule | edits |\n|---|---:|\n| imports | 3 |\n"
        in ran.out
    )
    assert "<details><summary>Changes (4)</summary>\n\n| where | before | after |\n" in ran.out
    assert "| `app/bar.py:1` | `` import requests  # a \\| `b` `` |" in ran.out


def test_markdown_of_a_clean_tree_reports_no_change(capa, project):
    capa("migrate", "apply", project)

    assert "### Capa: nothing to change; 5 files checked\n" == (
        capa("migrate", "check", project, "--format", "markdown").out
    )


def test_markdown_of_a_scan_has_the_numbers_of_each_sdk(capa, project):
    (project / "Procfile").write_text("worker: celery -A app.tasks worker\n")

    out = capa("scan", project, "--format", "markdown").out

    assert "| celery | 1 | 1 | 1 |" in out
    assert "| `Procfile:1` | `celery -A app.tasks worker` |" in out


def test_notes_are_shown_on_request_in_every_format(capa, project):
    (project / "app/log.py").write_text('import logging\nlogging.getLogger("requests")\n')

    assert "::notice" not in capa("migrate", "check", project, "--format", "github").out
    assert "::notice file=app/log.py,line=2," in (
        capa("migrate", "check", project, "--format", "github", "--notes").out
    )


def test_long_change_is_cut_to_its_beginning():
    made = Change("addresses", 1, "", "[a]\n\nb = 1\n" + "x" * 1_000_000)

    assert f"→ [a] ⏎ b = 1 ⏎ {'x' * 226}…" == arrow(made)


def test_json_is_short_for_its_format(capa, project):
    assert capa("scan", project, "--json").out == capa("scan", project, "--format", "json").out


def test_output_goes_to_a_file_and_the_exit_code_stays(capa, project, tmp_path):
    (tmp_path / "report.json").write_text("old")

    ran = capa("migrate", "check", project, "--json", "-o", tmp_path / "report.json")

    assert (1, "") == (ran.code, ran.out)
    assert 1 == json.loads((tmp_path / "report.json").read_text())["exit"]
    assert ["project", "report.json"] == sorted(path.name for path in tmp_path.iterdir())


def test_diff_goes_to_a_file_byte_for_byte(capa, project, tmp_path):
    (project / "app/latin.py").write_bytes(b"# coding: latin-1\nimport requests  # \xe9\n")

    capa("migrate", "diff", project, "-o", tmp_path / "capa.patch")

    assert b"+import capa_requests as requests  # \xe9\n" in (tmp_path / "capa.patch").read_bytes()


def test_output_that_cannot_be_written_is_named(capa, project, tmp_path):
    ran = capa("migrate", "check", project, "-o", tmp_path / "no" / "report.txt")

    assert 3 == ran.code
    assert (
        f"{tmp_path}/no/report.txt: cannot be written: No such file or directory: name another file"
        in ran.err
    )


def test_output_without_a_folder_is_refused_before_anything_is_applied(capa, project, tmp_path, snapshot):
    before = snapshot(project)

    ran = capa("migrate", "apply", project, "-o", tmp_path / "no" / "report.txt")

    assert (3, before) == (ran.code, snapshot(project))
    assert f"{tmp_path}/no/report.txt: its folder does not exist or cannot be written to" in ran.err


def test_unknown_format_is_refused_with_the_known_ones(capa, project):
    ran = capa("scan", project, "--format", "sariff")

    assert 3 == ran.code
    assert "invalid choice: 'sariff' (choose from" in ran.err


def test_every_format_names_its_purpose_in_its_first_line():
    assert {"github", "json", "markdown", "sarif", "text"} <= set(formats.names())
    assert all(formats.load(name).__globals__["__doc__"] for name in formats.names())


def _replacements(run: dict, uri: str) -> list[dict]:
    changes = [
        change
        for result in run["results"]
        for fix in result.get("fixes", ())
        for change in fix["artifactChanges"]
        if change["artifactLocation"]["uri"] == uri
    ]
    return [replacement for change in changes for replacement in change["replacements"]]


def _edit(replacement: dict) -> Edit:
    region = replacement["deletedRegion"]
    new = replacement["insertedContent"]["text"].encode()
    return Edit(region["byteOffset"], region["byteOffset"] + region["byteLength"], new, "")
