"""Rules that change shapes: they run only when named, on the command line or in pyproject.toml."""

from __future__ import annotations

import os

import pytest

SOURCE = "import requests\nimport redis\n\nrequests.get('http://x')\nredis.Redis(host='h')\n"
TIMED = SOURCE.replace("'http://x'", "'http://x', timeout=60")


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "shop.py").write_text(SOURCE)
    return tmp_path


def _age(path) -> None:
    os.utime(path, (1_000_000_000, 1_000_000_000))


@pytest.mark.parametrize(
    ("words", "table", "changed"),
    [
        ([], "", {"imports"}),
        (["--with", "requests-timeout"], "", {"imports", "requests-timeout"}),
        (["--only", "requests-timeout"], "", {"requests-timeout"}),
        (["--with", "requests-timeout,addresses"], "", {"imports", "requests-timeout", "addresses"}),
        ([], "with = ['requests-timeout']", {"imports", "requests-timeout"}),
        (
            ["--with", "addresses"],
            "with = ['requests-timeout']",
            {"imports", "requests-timeout", "addresses"},
        ),
        (["--skip", "requests-timeout"], "with = ['requests-timeout']", {"imports"}),
    ],
)
def test_rule_for_shapes_runs_when_named(capa, shop, words, table, changed):
    (shop / "pyproject.toml").write_text(f"[tool.capa.migrate]\n{table}\n")
    ran = capa("migrate", "check", shop, *words)
    shown = {line.split(": ")[1] for line in ran.out.splitlines() if "→" in line}

    assert changed == shown


def test_list_of_rules_marks_those_that_must_be_named(capa):
    listed = capa("migrate", "check", "--list-rules").out.splitlines()

    assert ["addresses", "native", "requests-timeout"] == [
        line.split()[0] for line in listed if line.endswith("(only with --with)")
    ]


def test_cache_of_a_run_without_the_rule_does_not_hide_a_file_from_it(capa, shop):
    (shop / "shop.py").write_text(
        TIMED.replace(", timeout=60", "").replace("import requests", "import capa_requests as requests")
    )
    _age(shop / "shop.py")
    without = [capa("migrate", "check", shop).code for _ in range(2)]

    assert [0, 0] == without
    assert 1 == capa("migrate", "check", shop, "--with", "requests-timeout").code


def test_change_of_capa_toml_is_seen(capa, shop):
    (shop / "shop.py").write_text("import redis\nredis.Redis(host='h')\n")
    _age(shop / "shop.py")
    capa("migrate", "apply", shop, "--only", "addresses")
    settled = [capa("migrate", "check", shop, "--only", "addresses").code for _ in range(2)]
    (shop / "capa.toml").write_text("")

    assert [0, 0] == settled
    assert 1 == capa("migrate", "check", shop, "--only", "addresses").code


def test_file_that_a_plan_makes_is_in_the_diff_and_removed_by_undo(capa, shop):
    diff = capa("migrate", "diff", shop, "--only", "addresses").out
    applied = capa("migrate", "apply", shop, "--only", "addresses")
    made = (shop / "capa.toml").read_text()
    undone = capa("migrate", "undo", shop)

    assert diff.startswith(
        "--- /dev/null\n+++ b/capa.toml\n@@ -0,0 +1,6 @@\n+[state.default]\n+\n+[state.h]\n"
    )
    assert (0, 0) == (applied.code, undone.code)
    assert (
        '[state.default]\n\n[state.h]\ndriver = "redis"\nurl = "redis://h"\nlegacy = ["redis://h"]\n' == made
    )
    assert not (shop / "capa.toml").exists()


def test_made_file_that_has_been_edited_since_is_not_deleted(capa, shop):
    capa("migrate", "apply", shop, "--only", "addresses")
    with (shop / "capa.toml").open("a") as file:
        file.write("# mine\n")
    undone = capa("migrate", "undo", shop)

    assert 2 == undone.code
    assert "capa.toml was made by the rewrite and edited since: delete it by hand" in undone.out
    assert (shop / "capa.toml").read_text().endswith("# mine\n")


def test_file_that_is_made_meanwhile_is_a_conflict(capa, shop, monkeypatch):
    from capa_codemods.write import replace

    check = replace._check

    def make_it_first(path, expected):
        if path.endswith("capa.toml"):
            (shop / "capa.toml").write_text("# mine\n")
        check(path, expected)

    monkeypatch.setattr(replace, "_check", make_it_first)
    ran = capa("migrate", "apply", shop, "--only", "addresses")

    assert 2 == ran.code
    assert "# mine\n" == (shop / "capa.toml").read_text()


def test_both_kinds_of_edits_meet_in_one_file(capa, shop):
    ran = capa("migrate", "apply", shop, "--with", "requests-timeout")

    assert 0 == ran.code, ran.out
    assert (
        TIMED.replace("import requests", "import capa_requests as requests") == (shop / "shop.py").read_text()
    )


def test_line_is_kept_with_a_comment(capa, shop):
    (shop / "shop.py").write_text(
        SOURCE.replace("'http://x')", "'http://x')  # capa: ignore[requests-timeout]")
    )
    (shop / "redis.cfg").touch()

    assert 0 == capa("migrate", "check", shop, "--only", "requests-timeout").code


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "[tool.capa.migrate.requests-timeout]\nsecond = 1",
            "has an unknown key `second`: did you mean `seconds`?",
        ),
        (
            "[tool.capa.migrate.requests-timeout]\nseconds = '1'",
            "seconds must be like 60.0, its default, not '1'",
        ),
        (
            "[tool.capa.migrate.requests-timeout]\nseconds = true",
            "seconds must be like 60.0, its default, not True",
        ),
        (
            "[tool.capa.migrate.requests-timeout]\nseconds = -1",
            "seconds must be a number from 0 on, like 60.0, its default, not -1",
        ),
        (
            "[tool.capa.migrate.requests-timeout]\nseconds = nan",
            "seconds must be a number from 0 on, like 60.0, its default, not nan",
        ),
        ("[tool.capa.migrate.requests-time]\nseconds = 1", "there is no rule `requests-time`"),
        ("[tool.capa.migrate]\nwith = ['requests-time']", "there is no rule `requests-time`"),
        ("[tool.capa.migrate]\nwith = 'native'", "with must be a list of strings, not 'native'"),
    ],
)
def test_wrong_settings_are_reported_before_a_file_is_read(capa, shop, table, message):
    (shop / "pyproject.toml").write_text(table)
    ran = capa("migrate", "check", shop, "--with", "requests-timeout")

    assert 3 == ran.code
    assert message in ran.err


def test_code_keeps_an_address_that_capa_toml_cannot_hold(capa, shop):
    for name, host in (("one", "a.b"), ("two", "a-b")):
        (shop / f"{name}.py").write_text(f"from celery import Celery\nCelery(broker='redis://{host}')\n")
    ran = capa("migrate", "apply", shop, "--with", "addresses")
    again = capa("migrate", "check", shop, "--with", "addresses")

    assert (0, 0) == (ran.code, again.code), again.out
    assert "[pubsub.a-b] did not get" in ran.out
    assert "from capa_celery import Celery\nCelery(broker='capa://a-b')\n" == (shop / "one.py").read_text()
    assert "from capa_celery import Celery\nCelery(broker='redis://a-b')\n" == (shop / "two.py").read_text()


def test_code_does_not_get_a_name_where_capa_toml_cannot_be_read(capa, shop):
    (shop / "capa.toml").write_text("[broken\n")
    (shop / "one.py").write_text("from capa_celery import Celery\nCelery(broker='redis://h')\n")
    ran = capa("migrate", "apply", shop, "--only", "addresses")

    assert 2 == ran.code
    assert "Celery(broker='redis://h')\n" in (shop / "one.py").read_text()


def test_code_does_not_get_a_name_where_capa_toml_cannot_be_written(capa, shop):
    (shop / "capa.toml").write_text("[pubsub.default]\n")
    (shop / "capa.toml").chmod(0o444)
    (shop / "a.py").write_text("from capa_celery import Celery\nCelery(broker='redis://h')\n")
    ran = capa("migrate", "apply", shop, "--only", "addresses")
    (shop / "capa.toml").chmod(0o644)
    again = capa("migrate", "apply", shop, "--only", "addresses")

    assert (2, 0) == (ran.code, again.code)
    assert "a.py counts on capa.toml: it was left as it is; run again" in ran.out
    assert "Celery(broker='capa://h')" in (shop / "a.py").read_text()
    assert "[pubsub.h]" in (shop / "capa.toml").read_text()
