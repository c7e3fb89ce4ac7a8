"""Files that a run does not look at: counted by reason, and a failure where one is named."""

from __future__ import annotations

import json
import os

import pytest

SCRIPT = "#!/usr/bin/env python3\nimport requests\n"
OLD_NS = 10**18


@pytest.fixture
def tree(tmp_path):
    """Return a project of one clean file, and of one of each kind that is not looked at."""
    files = {
        "a.py": "import os\n",
        "README.md": "requests\n",
        "LICENSE": "requests\n",
        "old/a.py": "import requests\n",
        "lib/requests/__init__.py": "import requests\n",
        "pyproject.toml": '[tool.capa.migrate]\nexclude = ["old"]\n',
    }
    for name, text in files.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, ns=(OLD_NS, OLD_NS))
    (tmp_path / "project/link.py").symlink_to("old/a.py")
    return tmp_path / "project"


EXPECTED = {"link": 1, "copy": 1, "excluded": 1, "kind": 2}


def test_files_that_are_not_looked_at_are_counted_by_reason(capa, tree):
    files = json.loads(capa("migrate", "check", tree, "--json").out)["files"]

    assert (2, EXPECTED) == (files["seen"], files["passed_over"])


def test_counts_are_the_same_from_the_cache(capa, tree):
    runs = [json.loads(capa("migrate", "check", tree, "--json").out)["files"] for _ in range(3)]
    (tree / "b.py").write_text("import re\n")
    later = json.loads(capa("migrate", "check", tree, "--json").out)["files"]

    assert [EXPECTED] * 3 == [run["passed_over"] for run in runs]
    assert (3, EXPECTED) == (later["seen"], later["passed_over"])


def test_counts_are_shown_in_a_line_and_those_of_other_kinds_with_notes(capa, tree):
    line = "not looked at: 1 link, 1 file of a package called like an SDK, 1 excluded file"

    assert f"nothing to do in 2 files\n{line}.\n" == capa("migrate", "check", tree).out
    assert f"{line}, 2 files of other kinds.\n" in capa("migrate", "check", tree, "--notes").out


def test_pipes_are_counted_apart_from_links(capa, tree):
    os.mkfifo(tree / "pipe.py")
    (tree / "folder").symlink_to("old")

    for _ in range(2):  # the second time from the cache
        files = json.loads(capa("migrate", "check", tree, "--json").out)["files"]

        assert {**EXPECTED, "special": 1, "kind": EXPECTED["kind"] + 1} == files["passed_over"]


def test_counts_are_told_beside_a_patch(capa, tree):
    (tree / "b.py").write_text("import requests\n")
    ran = capa("migrate", "diff", tree)

    assert "not looked at: 1 link" in ran.err
    assert "not looked at" not in ran.out


def test_nested_repository_is_counted(capa, project, git):
    (project / "inner").mkdir()
    git("-C", str(project / "inner"), "init", "-q")
    (project / "inner/a.py").write_text("import requests\n")

    assert "not looked at: 1 nested repository." in capa("migrate", "check", project).out


def test_script_without_a_suffix_is_found_and_later_from_the_cache(capa, tree):
    (tree / "ping").write_text(SCRIPT)
    os.utime(tree / "ping", ns=(OLD_NS, OLD_NS))

    codes = [capa("migrate", "check", tree).code for _ in range(2)]
    applied = capa("migrate", "apply", tree)

    assert [1, 1] == codes
    assert 0 == applied.code
    assert "import capa_requests as requests" in (tree / "ping").read_text()


def test_file_without_a_suffix_that_becomes_a_script_is_seen(capa, tree):
    assert [0, 0] == [capa("migrate", "check", tree).code for _ in range(2)]
    (tree / "LICENSE").write_text(SCRIPT)

    assert 1 == capa("migrate", "check", tree).code


@pytest.mark.parametrize("name", ["ping", "ping.cgi"])
def test_script_of_any_name_is_read_where_it_is_named(capa, tree, name):
    (tree / name).write_text(SCRIPT)

    ran = capa("migrate", "check", tree / name)

    assert 1 == ran.code
    assert f"{name}:2: imports: import requests" in ran.out


@pytest.mark.parametrize("name", ["README.md", "LICENSE"])
@pytest.mark.parametrize("others", [[], ["a.py"]])
def test_file_that_is_named_and_that_no_rule_reads_is_a_failure(capa, tree, name, others):
    capa("migrate", "check", tree)  # fills the cache
    ran = capa("migrate", "check", tree / name, *(tree / one for one in others))
    passed = capa("migrate", "check", tree / name, *(tree / one for one in others), "--pass-over")

    assert (2, 0) == (ran.code, passed.code)
    assert (
        f"{name}: failed: no rule reads a file of this name, and its first line does not name Python"
        in ran.out
    )


@pytest.mark.parametrize(("name", "seen", "kinds"), [("ping", 4, 2), ("ping.cgi", 3, 3)])
def test_script_is_scanned_and_later_from_the_cache(capa, tree, name, seen, kinds):
    (tree / name).write_text(SCRIPT)
    os.utime(tree / name, ns=(OLD_NS, OLD_NS))

    for _ in range(2):
        sites = json.loads(capa("scan", tree / name, "--json").out)["sites"]
        whole = json.loads(capa("scan", tree, "--json").out)

        assert [(name, 2, "requests")] == [(site["path"], site["line"], site["name"]) for site in sites]
        assert (seen, {"excluded": 1, "kind": kinds}) == (whole["seen"], whole["passed_over"])


def test_file_that_is_named_and_that_a_scan_does_not_read_is_a_failure(capa, tree):
    ran = capa("scan", tree / "README.md")

    assert 2 == ran.code
    assert ran.out.startswith("README.md:\n     failed  no rule reads a file of this name")
    assert 0 == capa("scan", tree / "pyproject.toml").code


def test_file_that_is_named_and_that_git_ignores_is_a_failure(capa, project, git):
    (project / ".gitignore").write_text("made/\n")
    (project / "made").mkdir()
    (project / "made/a.py").write_text("import requests\n")

    ran = capa("migrate", "check", project / "made/a.py", project / "app/plain.py")

    assert 2 == ran.code
    assert "made/a.py: failed: git ignores it, or it is in a folder that is never read" in ran.out
