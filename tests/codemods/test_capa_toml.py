"""capa.toml gets the settings that rules need; present text is kept to the letter."""

from __future__ import annotations

import pytest

from capa_codemods.findings import Outcome, Setting
from capa_codemods.pipeline.capa_toml import plan_capa_toml
from capa_codemods.write.splice import splice

CACHE = Setting(
    "r", 1, ("state", "cache"), (("driver", "redis"), ("url", "redis://a"), ("legacy", ("redis://a",)))
)
TABLE = '[state.cache]\ndriver = "redis"\nurl = "redis://a"\nlegacy = ["redis://a"]\n'


@pytest.fixture
def written(tmp_path):
    """Put settings into a text; a second time must change nothing."""

    def run(before: str | None, *settings: Setting) -> tuple[str | None, list[str]]:
        place = tmp_path / "capa.toml"
        if before is not None:
            place.write_bytes(before.encode())
        asked = [Outcome("a.py", "clean", settings=settings)]
        outcome = plan_capa_toml(str(tmp_path), asked).outcome
        if outcome is None:
            return before, []
        assert outcome.status in {"changed", "clean"}, outcome.reason
        after = splice((before or "").encode(), outcome.edits)
        if outcome.edits:
            place.write_bytes(after)
            again = plan_capa_toml(str(tmp_path), asked).outcome
            assert again is None or not again.edits
        return after.decode(), [finding.message for finding in outcome.findings]

    return run


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, TABLE),
        ("", TABLE),
        ("# ours\n[state.x]  # y\n", f"# ours\n[state.x]  # y\n\n{TABLE}"),
        ("embedded = true", f"embedded = true\n\n{TABLE}"),
        ("\ufeff[state.cache]\n", '\ufeff[state.cache]\nlegacy = ["redis://a"]\n'),
        ("a = 1\r\n", f"a = 1\r\n\r\n{TABLE}".replace("\r\n", "\n").replace("\n", "\r\n")),
        (
            '[state.cache] # the old one\ndriver = "redis"\n',
            '[state.cache] # the old one\nlegacy = ["redis://a"]\ndriver = "redis"\n',
        ),
        (
            '[state . "cache"]\nlegacy=["redis://b"] # two\n',
            '[state . "cache"]\nlegacy=["redis://a", "redis://b"] # two\n',
        ),
        (
            '[state.cache]\nlegacy = [\n  "redis://b",  # b\n]\n[state.y]\n',
            '[state.cache]\nlegacy = [\n  "redis://a",\n  "redis://b",  # b\n]\n[state.y]\n',
        ),
        ("[state.cache]\nlegacy = []\n", '[state.cache]\nlegacy = ["redis://a"]\n'),
        (TABLE.replace("driver", "retries = 1\ndriver"), TABLE.replace("driver", "retries = 1\ndriver")),
        (
            '[profiles.p.state.cache]\nurl = "x"\n',
            f'[profiles.p.state.cache]\nurl = "x"\n\n{TABLE}',
        ),
    ],
)
def test_setting_finds_its_place(written, before, after):
    assert (after, []) == written(before, CACHE)


@pytest.mark.parametrize(
    "before", ["state = { cache = { driver = 'redis' } }\n", "state.cache.driver = 'redis'\n"]
)
def test_setting_without_a_place_is_to_be_written_by_hand(written, before):
    finding = '[state.cache] did not get driver = "redis", url = "redis://a", legacy = ["redis://a"]: they fit no place'

    assert (before, [finding]) == written(before, CACHE)


@pytest.mark.parametrize("text", ["[state\n", f"a = {'[' * 3000}{']' * 3000}\n"], ids=["no TOML", "too deep"])
def test_file_that_is_no_toml_fails_and_is_left(tmp_path, text):
    (tmp_path / "capa.toml").write_text(text)
    outcome, refused = plan_capa_toml(str(tmp_path), [Outcome("a.py", "clean", settings=(CACHE,))])

    assert outcome is not None
    assert {CACHE} == refused
    assert ("failed", ()) == (outcome.status, outcome.edits)
    assert outcome.reason.startswith("cannot be read, and 1 settings are to be added: ")


def test_link_is_no_place_for_a_new_file(tmp_path):
    (tmp_path / "capa.toml").symlink_to("theirs.toml")
    outcome, refused = plan_capa_toml(str(tmp_path), [Outcome("a.py", "clean", settings=(CACHE,))])

    assert outcome is not None
    assert {CACHE} == refused
    assert ("failed", ()) == (outcome.status, outcome.edits)


def test_refused_settings_are_returned_separately(tmp_path):
    other = Setting("s", 2, ("state", "cache"), (("url", "redis://other"),))
    outcomes = [Outcome("a.py", "clean", settings=(CACHE, other))]

    assert {other} == plan_capa_toml(str(tmp_path), outcomes).refused


def test_two_rules_may_ask_for_one_table(written):
    other = Setting("s", 2, ("state", "cache"), (("url", "redis://a"), ("legacy", ("redis://b",))))

    assert (TABLE.replace('["redis://a"]', '["redis://b", "redis://a"]'), []) == written(None, CACHE, other)


@pytest.mark.parametrize("before", [None, TABLE])
def test_an_address_never_comes_under_the_engine_of_another(written, before):
    other = Setting("s", 2, ("state", "cache"), (("url", "redis://other"), ("legacy", ("redis://b",))))
    finding = (
        '[state.cache] did not get url = "redis://other", legacy = ["redis://b"]: the table has another url'
    )

    assert (TABLE, [finding]) == written(before, CACHE, other)
