"""`capa health`: the exit code says whether every component answers."""

import json

import pytest
from servers._process import free_port


@pytest.fixture
def health(capa, tmp_path, monkeypatch):
    """A function that runs `capa health` in a folder with the given capa.toml."""
    monkeypatch.chdir(tmp_path)

    def run(settings, *words):
        (tmp_path / "capa.toml").write_text(settings)
        return capa("health", "--timeout", "60", *words)

    return run


def test_all_answer(health):
    ran = health('[state.default]\ndriver = "memory"\n')

    assert 0 == ran.code
    assert "ok: state default (memory)" in ran.out
    assert ran.out.endswith("healthy\n")


def test_one_that_is_down_is_named_with_1(health):
    ran = health(f'[state.orders]\ndriver = "etcd"\nurl = "http://127.0.0.1:{free_port()}"\n', "--json")
    found = json.loads(ran.out)

    assert (1, 1, False) == (ran.code, found["exit"], found["healthy"])
    assert ["state orders"] == [
        f"{each['block']} {each['name']}" for each in found["components"] if not each["healthy"]
    ]


def test_it_reports_nothing_itself(health):
    """The reports are the program's: a collector that is down delays no check."""
    ran = health(f'[telemetry.default]\ndriver = "otlp"\nurl = "http://127.0.0.1:{free_port()}"\n')

    assert 0 == ran.code
    assert "fails, not needed: telemetry default (otlp)" in ran.out
    assert "" == ran.err


@pytest.mark.parametrize(
    ("settings", "words", "said"),
    [
        ("[stat.orders]\n", (), "Did you mean 'state'"),
        ("", ("--profile", "prod"), "no profile 'prod'"),
        ("", ("--timeout", "0"), "timeout is 0"),
    ],
    ids=["section", "profile", "timeout"],
)
def test_a_wrong_setting_is_3(health, settings, words, said):
    ran = health(settings, *words)

    assert 3 == ran.code
    assert said in ran.err
