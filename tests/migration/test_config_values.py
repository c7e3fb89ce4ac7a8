"""`capa config get|set|diff`: values with their origin, written and compared; secrets are hidden."""

import io
import json
from functools import partial

import pytest

from capa_core import Runtime
from capa_migration.live.values import MASK, masked

TOML = """
[configuration.default]
driver = "file"

[configuration.other]
driver = "file"
path = "other"

[profiles.prod.configuration.default]
driver = "file"
path = "prod"
"""


@pytest.fixture
def config(tmp_path, monkeypatch, capa):
    """Return a function that runs `capa config` in a folder with two components and a profile."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAPA_PROFILE", raising=False)
    (tmp_path / "capa.toml").write_text(TOML)
    for name in ("config", "other", "prod"):
        (tmp_path / name).mkdir()
    (tmp_path / "config" / "application.properties").write_text("a=1\nb=2\ndb.password=hunter2\n")

    return partial(capa, "config")


def test_values_are_shown_with_their_origin(config, tmp_path):
    code, out, _ = config("get")

    assert 0 == code
    assert f"a = 1\nb = 2\ndb.password = {MASK}\n" == out.partition("(")[0]
    assert f"(3 keys of application, from {tmp_path / 'config' / 'application.properties'})\n" in out


def test_the_origin_is_the_file_that_serves(config, tmp_path):
    """A variant that is not there comes from the unlabelled group."""
    near = tmp_path / "config" / "blue" / "application.properties"
    near.parent.mkdir()
    near.write_text("a=blue\n")
    blue, green = (json.loads(config("get", "--label", name, "--json")[1]) for name in ("blue", "green"))

    assert (str(near), {"a": "blue"}) == (blue["origin"], blue["values"])
    assert (str(near.parent.parent / near.name), "1") == (green["origin"], green["values"]["a"])


def test_a_missing_key_is_named(config):
    code, out, err = config("get", "b", "nope")

    assert 1 == code
    assert out.startswith("b = 2\n(1 key of application")
    assert "capa config get: application has no key 'nope'\n" == err


def test_secrets_are_shown_on_demand(config):
    assert "db.password = hunter2" in config("get", "--show-secrets")[1]


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("db.password", "x", MASK),
        ("API-KEY", "x", MASK),
        ("apollo.accessKey", "x", MASK),
        ("github_token", "x", MASK),
        ("url", "amqp://me:pw@host/v", f"amqp://{MASK}@host/v"),
        ("url", "amqp://me@host/v", "amqp://me@host/v"),
        ("monkey", "x", "x"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(key, value, shown):
    assert shown == masked(key, value)


def test_keys_are_written_and_removed(config, tmp_path):
    code, out, _ = config("set", "a=3", "c=x=y", "b=2", "--delete", "db.password")
    with Runtime(start=tmp_path) as runtime:
        values = dict(runtime.configuration().view())

    assert 0 == code
    assert ["- a = 1", "+ a = 3", "+ c = x=y", f"- db.password = {MASK}"] == out.splitlines()
    assert {"a": "3", "b": "2", "c": "x=y"} == values
    assert (0, "nothing to change\n", "") == config("set", "a=3", "--delete", "nope")


def test_a_profile_is_written_alone(config, tmp_path):
    config("set", "a=9", "--profile", "prod")

    assert "a=1" in (tmp_path / "config" / "application.properties").read_text()
    assert ["prod/application.properties"] == [
        str(path.relative_to(tmp_path)) for path in (tmp_path / "prod").iterdir()
    ]


def test_a_document_is_written_whole(config, tmp_path, monkeypatch):
    source = tmp_path / "source.json"
    source.write_text('{"most": 3}\n')
    first = config("set", "--group", "limits.json", "--document", str(source))
    again = config("set", "--group", "limits.json", "--document", str(source), "--json")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"most": 4}')))
    piped = config("set", "--group", "limits.json", "--document", "-")

    assert (0, "limits.json: written\n", "") == first == piped
    assert not json.loads(again[1])["written"]
    assert '{"most": 4}' == (tmp_path / "config" / "limits.json").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["set"], "give KEY=VALUE, --delete KEY or --document FILE"),
        (["set", "a"], "'a' is not KEY=VALUE; nothing was written"),
        (["set", "=1"], "'=1' is not KEY=VALUE; nothing was written"),
        (["set", "a=1", "--delete", "a"], "'a' is to be written and to be deleted; nothing was written"),
        (["set", "a=1", "--document", "f"], "give keys, or --document, not both; nothing was written"),
        (["set", "--group", "x.json", "--document", "none"], "none: No such file or directory; nothing was"),
        (["set", "--component", "typo", "a=1"], "there is no [configuration.typo]: component default serves"),
        (["get", "--profile", "typo"], "typo"),
        (["frobnicate"], "invalid choice"),
    ],
)
def test_wrong_usage_writes_nothing(config, tmp_path, words, told):
    before = sorted(path.read_bytes() for path in tmp_path.rglob("*.properties"))
    code, out, err = config(*words)

    assert (3, "") == (code, out)
    assert told in err
    assert before == sorted(path.read_bytes() for path in tmp_path.rglob("*.properties"))


def test_a_component_that_nothing_serves_is_refused_with_the_option_that_leads_to_one(config, tmp_path):
    (tmp_path / "capa.toml").write_text("[configuration.other]\n")

    code, _, err = config("get")

    assert (3, True) == (code, "no [configuration.default]: give --component other" in err)


def test_a_malformed_document_is_refused(config, tmp_path):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "binary").write_bytes(b"\xff")

    assert 3 == config("set", "--group", "x.json", "--document", "bad.json")[0]
    assert (
        "binary is not UTF-8; nothing was written"
        in config("set", "--group", "x.json", "--document", "binary")[2]
    )
    assert [] == list((tmp_path / "config").glob("x.json*"))


def test_two_sides_are_compared(config, tmp_path):
    (tmp_path / "prod" / "application.properties").write_text("a=1\nb=5\nc=6\n")
    code, out, _ = config("diff", "--with-profile", "prod")
    data = json.loads(config("diff", "--with-component", "other", "--json")[1])

    assert 1 == code
    assert ["- b = 2", "+ b = 5", "+ c = 6", f"- db.password = {MASK}"] == out.splitlines()
    assert {"key": "a", "old": "1", "new": None} == data["changes"][0]
    assert (0, "the same, 3 keys\n", "") == config("diff", "--with-label", "blue")


def test_a_value_cannot_drive_the_terminal(config):
    config("set", "a=\x1b[2J\nover")

    assert "a = \\x1b[2J\\nover\n" in config("get", "a")[1]


def test_an_engine_that_does_not_answer_is_named(config, tmp_path):
    (tmp_path / "capa.toml").write_text(
        '[configuration.default]\ndriver = "apollo"\nurl = "http://127.0.0.1:9"\napp_id = "shop"\n'
    )
    code, out, err = config("get")

    assert (2, "") == (code, out)
    assert "capa config get: configuration 'default'" in err
