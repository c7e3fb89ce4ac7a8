"""`capa doctor` fails where an adapter in use has no engine for a block, as the programs that use it do."""

from __future__ import annotations

import json

import pytest

from capa_core import Runtime
from capa_core.errors import UnknownNameError
from capa_migration.cli import doctor_adapters, main

SQLITE = '[profiles.prod.{}.default]\ndriver = "sqlite"\n'
EMPTY = "[profiles.prod]\n"


@pytest.fixture
def doctor(tmp_path, monkeypatch, capsys):
    """Give a function that runs `capa doctor` in the profile `prod` of the given settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAPA_PROFILE", "prod")

    def run(settings: str, *words: str) -> tuple[int, str, str]:
        (tmp_path / "capa.toml").write_text(settings)
        code = main(["doctor", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def unserved(out: str) -> dict[str, list[str]]:
    """Return SDK → blocks without an engine of the adapters in use, from the JSON of the doctor."""
    used = (row for row in json.loads(out)["adapters"] if row["used"] and row["unserved"])
    return {row["sdk"]: [one["block"] for one in row["unserved"]] for row in used}


@pytest.mark.parametrize(
    ("settings", "words", "expected"),
    [
        (EMPTY, ["--require", "celery"], {"celery": ["pubsub", "state", "lock"]}),
        (EMPTY, ["--require", "apollo"], {"apollo": ["configuration"]}),
        (SQLITE.format("pubsub"), [], {"celery": ["state", "lock"]}),
        (EMPTY + SQLITE.replace("prod", "dev").format("state"), [], {"celery": ["pubsub", "state", "lock"]}),
        (EMPTY + "[adapters.celery]\nlease_s = 60\n", [], {"celery": ["pubsub", "state", "lock"]}),
        (EMPTY, ["--require", "kombu"], {"kombu": ["pubsub", "state"]}),
        (EMPTY + "[adapters.kombu]\n", [], {"kombu": ["pubsub", "state"]}),
        (EMPTY + "[profiles.dev.adapters.apollo]\n", [], {"apollo": ["configuration"]}),
        (
            '[profiles.prod.pubsub.shop]\ndriver = "memory"\nlegacy = ["redis://a"]\n',
            [],
            {"celery": ["state", "lock"]},
        ),
    ],
)
def test_an_adapter_in_use_without_an_engine_exits_with_2(doctor, settings, words, expected):
    code, out, _ = doctor(settings, "--json", *words)

    assert (2, expected) == (code, unserved(out))


@pytest.mark.parametrize(
    "settings",
    [
        EMPTY,
        EMPTY + "[profiles.prod.adapters.requests]\ntimeout_s = 3\n",
        '[profiles.prod.secrets.default]\ndriver = "memory"\n',
        SQLITE.format("pubsub") + '[adapters.celery]\nside = "legacy"\n',
        '[profiles.prod.pubsub.own]\ndriver = "memory"\n',
        "".join(map(SQLITE.format, ("pubsub", "state", "lock"))),
        f"embedded = true\n{EMPTY}[adapters.celery]\n",
    ],
    ids=["empty", "requests", "secrets", "legacy side", "queues of its own", "all three", "embedded"],
)
def test_a_program_that_uses_no_such_adapter_passes(doctor, settings):
    code, out, _ = doctor(settings, "--json")

    assert (0, {}) == (code, unserved(out))


def test_an_adapter_without_its_original_is_not_in_use_unless_it_is_required(doctor, monkeypatch):
    monkeypatch.setattr(doctor_adapters, "_version", lambda _names: None)

    assert 0 == doctor(SQLITE.format("pubsub"))[0]
    assert 2 == doctor(SQLITE.format("pubsub"), "--require", "celery")[0]


def test_the_error_is_the_one_that_programs_get(doctor, tmp_path):
    _, out, _ = doctor(SQLITE.format("pubsub"), "--json")

    (celery,) = (row for row in json.loads(out)["adapters"] if row["sdk"] == "celery")
    with Runtime(start=tmp_path, profile="prod") as runtime, pytest.raises(UnknownNameError) as raised:
        runtime.state("celery")
    assert str(raised.value) == celery["unserved"][0]["problem"]


def test_the_lines_for_each_block_without_an_engine_are_printed_and_serve_it(doctor):
    _, out, _ = doctor(EMPTY)
    _, data, _ = doctor(EMPTY, "--json")
    found = json.loads(data)

    assert found["unserved"] == sorted(found["lines_to_add"])
    assert "".join(f"{lines}\n\n" for lines in found["lines_to_add"].values()) in out
    assert '[profiles.prod.pubsub.default]\ndriver = "redis"  # or kafka, nats, postgres, ' in out
    assert "capa_celery has no engine for pubsub, state, lock, and no table says that programs use it" in out


def test_an_adapter_that_is_not_installed_cannot_be_required(doctor, capsys):
    with pytest.raises(SystemExit) as ended:
        doctor(EMPTY, "--require", "celry")

    assert (3, True) == (
        ended.value.code,
        "'celry'" in (err := capsys.readouterr().err) and "'celery'" in err,
    )
