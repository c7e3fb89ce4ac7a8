"""`--json`: one object for every command, with `schema` before its data and the exit code behind."""

from __future__ import annotations

import json
from importlib import import_module

import pytest

from capa_core import Runtime
from capa_core.conformance._tolerance import wait_until
from capa_migration.cli import COMMANDS

WORDS = {
    ("scan",): ["{project}"],
    ("report",): ["{project}"],
    ("migrate", "check"): ["{project}"],
    ("migrate", "diff"): ["{project}"],
    ("migrate", "apply"): ["{project}"],
    ("migrate", "status"): ["{project}"],
    ("migrate", "undo"): ["{project}"],
    ("doctor",): [],
    ("health",): [],
    ("queue", "list"): [],
    ("queue", "peek"): ["orders"],
    ("queue", "replay"): ["orders"],
    ("queue", "purge"): ["orders", "--yes"],
    ("schedule", "list"): [],
    ("schedule", "run"): ["reports"],
    ("schedule", "pause"): ["reports"],
    ("schedule", "resume"): ["reports"],
    ("schedule", "history"): ["reports"],
    ("schedule", "export"): ["--kubernetes", "--image", "shop:1.4"],
    ("config", "get"): [],
    ("config", "set"): ["a=1"],
    ("config", "diff"): ["--with-group", "other"],
    ("config", "history"): [],
    ("config", "push"): ["values.properties", "--yes"],
    ("config", "sync"): ["--with-group", "other", "--once"],
    ("bridge",): ["default:orders", "default:others", "--status"],
    ("explain",): [],
}
WITHOUT = {("run",), ("completion",)}
"""A command becomes another program, and one prints a script."""
ELSEWHERE = {("config", "pull"), ("migrate", "drain")}
"""They need servers: test_config_pull.py, test_drain.py."""


def commands():
    """Yield each command, with each of its actions."""
    for name in COMMANDS:
        parser = import_module(f"capa_migration.cli.{name}").parser()
        actions = [one for one in parser._actions if one.dest == "==SUPPRESS==" and one.choices]
        yield from ((name, action) for one in actions for action in one.choices)
        if not actions:
            yield (name,)


def test_every_command_is_tried():
    assert {*WORDS, *WITHOUT, *ELSEWHERE} == set(commands())


@pytest.mark.parametrize("command", WORDS, ids=" ".join)
def test_data_has_one_envelope(capa, project, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAPA_PROFILE", raising=False)
    (tmp_path / "values.properties").write_text("a=1\n")
    if command[0] == "config":
        (tmp_path / "capa.toml").write_text('[configuration.default]\ndriver = "sqlite"\n')
    if command[0] in {"queue", "doctor", "bridge"}:
        (tmp_path / "capa.toml").write_text('[pubsub.default]\ndriver = "sqlite"\n')
        with Runtime(start=tmp_path) as runtime:
            runtime.pubsub().consumer("orders", raw=True)
    if command[0] == "schedule":
        (tmp_path / "capa.toml").write_text('[schedule.default]\ndriver = "sqlite"\n')
        with Runtime(start=tmp_path) as runtime:
            runtime.schedule().add("reports", print, cron="0 3 * * *")
            runtime.schedule().start()
            wait_until(lambda: runtime.schedule().get("reports"))
    ran = capa(*command, *(word.format(project=project) for word in WORDS[command]), "--json")
    data = json.loads(ran.out)

    assert ("schema", "exit") == (next(iter(data)), next(reversed(data)))
    assert (1, ran.code) == (data["schema"], data["exit"])
    assert ran.code in {0, 1}


def test_several_projects_and_rules_have_it_too(capa, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / ".git").mkdir(parents=True)
    several = json.loads(capa("scan", tmp_path / "a", tmp_path / "b", "--json").out)
    rules = json.loads(capa("migrate", "check", "--list-rules", "--json").out)

    assert [(1, 0)] * 2 == [(one["schema"], one["exit"]) for one in (several, rules)]
    assert "imports" in {one["id"] for one in rules["rules"]}
