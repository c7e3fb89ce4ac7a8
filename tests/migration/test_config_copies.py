"""`capa config push|history`: the difference first, one step, nothing else; versions where the store has them."""

import json
from functools import partial

import pytest

from capa_core import Runtime
from capa_migration.live.values import MASK

TOML = """
[configuration.default]
driver = "file"

[configuration.kept]
driver = "sqlite"
folder = "kept"

[profiles.prod.configuration.default]
driver = "sqlite"
folder = "prod"
"""


@pytest.fixture
def config(tmp_path, monkeypatch, capa):
    """Return a function that runs `capa config` in a folder with two components and a profile."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "capa.toml").write_text(TOML)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "application.properties").write_text("a=1\nb=2\ndb.password=hunter2\n")
    (tmp_path / "config" / "limits.json").write_text('{"max": 3}')

    return partial(capa, "config")


@pytest.fixture
def kept(config, tmp_path):
    with Runtime(start=tmp_path) as runtime:
        yield runtime.configuration("kept")


def values(configuration, group="application", **scope):
    return {key: item.value for key, item in configuration.get(group=group, **scope).items()}


TO_KEPT = ("push", "--from-component", "default", "--component", "kept")


def test_the_difference_is_shown_and_then_written(config, kept):
    kept.save({"a": "0", "own": "x"})
    dry = config(*TO_KEPT, "--dry-run")
    before = values(kept)
    done = config(*TO_KEPT, "--yes")
    again = config(*TO_KEPT)

    difference = f"- a = 0\n+ a = 1\n+ b = 2\n+ db.password = {MASK}\n"
    assert (1, difference) == dry[:2]
    assert {"a": "0", "own": "x"} == before
    assert (0, f"{difference}(1 key that only kept has stay)\n3 keys written to kept\n") == done[:2]
    assert {"a": "1", "b": "2", "db.password": "hunter2", "own": "x"} == values(kept)
    assert "the same" not in done[1]
    assert 0 == again[0]


def test_keys_that_only_the_target_has_are_removed_on_request(config, kept):
    kept.save({"own": "x"})
    code, out, _ = config(*TO_KEPT, "--prune", "--yes", "--json")

    assert (0, 4) == (code, len(json.loads(out)["changes"]))
    assert {"a", "b", "db.password"} == set(values(kept))
    assert (0, "the same, 3 keys\n") == config(*TO_KEPT, "--prune")[:2]


def test_nothing_is_written_without_a_confirmation(config, kept):
    code, _, err = config(*TO_KEPT)

    assert 3 == code
    assert "add --yes to write without asking" in err
    assert {} == values(kept)


def test_a_document_is_copied_as_it_is(config, kept):
    code, _, _ = config(*TO_KEPT, "--group", "limits.json", "--yes")

    assert (0, '{"max": 3}') == (code, kept.snapshot("limits.json").content)


def test_a_file_is_copied_as_keys_or_as_a_document(config, kept, tmp_path):
    (tmp_path / "shop.json").write_text('{"a": {"b": 1}}')
    (tmp_path / "more.properties").write_text("c=3\n")
    codes = [
        config("push", "more.properties", "--component", "kept", "--yes")[0],
        config("push", "shop.json", "--component", "kept", "--group", "shop.json", "--yes")[0],
    ]

    assert [0, 0] == codes
    assert ({"c": "3"}, '{"a": {"b": 1}}') == (values(kept), kept.snapshot("shop.json").content)


def test_a_profile_is_copied_to_another(config, tmp_path):
    code, _, _ = config(
        "push", "--from-component", "default", "--profile", "prod", "--from-profile", "", "--yes"
    )
    assert 3 == code  # the same component of the same profile

    code, _, _ = config("push", "config/application.properties", "--profile", "prod", "--yes")
    with Runtime(start=tmp_path, profile="prod") as runtime:
        found = values(runtime.configuration())

    assert (0, "1") == (code, found["a"])


def test_a_variant_that_is_not_there_yet_gets_all_keys(config, kept):
    """Its first write hides the group that served it."""
    kept.save({"a": "1", "b": "0", "db.password": "hunter2"})
    config(*TO_KEPT, "--label", "blue", "--yes")

    assert {"a": "1", "b": "2", "db.password": "hunter2"} == values(kept, label="blue")


def test_a_target_that_changes_meanwhile_is_left_as_it_is(config, kept, monkeypatch):
    def confirms(*_):
        kept.save({"a": "9"})
        return True

    monkeypatch.setattr("capa_migration.cli.config_copies.confirms", confirms)
    code, _, err = config(*TO_KEPT)

    assert (2, {"a": "9"}) == (code, values(kept))
    assert "was changed meanwhile" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("push",), "both sides are the same group"),
        (("push", "config/application.properties", "--from-component", "kept"), "not both"),
        (("push", "missing.json"), "No such file"),
        (("push", "capa.lock"), "No such file"),
        (
            ("push", "config/limits.json", "--group", "x.yaml", "--component", "nowhere"),
            "no [configuration.nowhere]",
        ),
        (("push", "--from-component", "kept"), "has no group application"),
        (("history", "--most", "0"), "not a whole number"),
    ],
)
def test_wrong_usage_is_refused(config, words, said):
    code, _, err = config(*words, "--component", "kept") if words[0] == "history" else config(*words)

    assert 3 == code
    assert said in err


def test_the_versions_of_a_group_are_shown_with_their_changes(config, kept):
    kept.save({"a": "1", "token": "hunter2"})
    kept.save({"a": "2"})
    kept.delete(["a"])
    code, out, _ = config("history", "--component", "kept")
    data = json.loads(config("history", "--component", "kept", "--json", "--most", "2")[1])

    assert 0 == code
    assert ["  - a = 2", "  - a = 1", "  + a = 2", "  + a = 1", f"  + token = {MASK}"] == [
        line for line in out.splitlines() if line.startswith("  ")
    ]
    assert [[("a", "2", None)], [("a", "1", "2")]] == [
        [(one["key"], one["old"], one["new"]) for one in version["changes"]] for version in data["versions"]
    ]


def test_a_group_that_was_never_written_has_no_versions(config, kept):
    code, out, _ = config("history", "--component", "kept")

    assert (0, "application has no versions yet: it was not written since they are kept\n") == (code, out)


def test_a_store_without_versions_says_so(config):
    code, _, err = config("history")

    assert 2 == code
    assert "a file has one version; the version control of the folder has others" in err
