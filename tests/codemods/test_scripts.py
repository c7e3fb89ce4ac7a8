"""Scripts in Python whose names do not say so: their first line does."""

from __future__ import annotations

import pytest

from capa_codemods.read.scripts import find_scripts, may_be_script

BODY = b"import requests\n"
MOVED = b"import capa_requests as requests\n"


@pytest.mark.parametrize(
    "first",
    [
        b"#!/usr/bin/env python",
        b"#!/usr/bin/python3.12 -u",
        b"#! /usr/bin/env -S python3 -X dev\r",
        b"#!/opt/app/.venv/bin/python",
        b"#!/usr/bin/env pypy3",
        b"#!/usr/bin/env -S uv run --script",
    ],
)
@pytest.mark.parametrize("path", ["ping", "bin/ping-catalog", "v1.2/ping", "celery"])
def test_script_without_a_suffix_is_rewritten(rewritten, path, first):
    assert first + b"\n" + MOVED == rewritten(first + b"\n" + BODY, path).text


@pytest.mark.parametrize(
    "first",
    [
        b"#!/bin/sh",
        b"#!/usr/bin/env node",
        b"# python",
        b"",
        b"\n#!/usr/bin/env python",
        b"#!/bin/sh\n# python",
    ],
)
def test_other_file_without_a_suffix_is_none(rewritten, first):
    result = rewritten(first + b"\n" + BODY, "bin/ping")

    assert (first + b"\n" + BODY, ()) == (result.text, result.outcome.findings)


def test_header_of_a_script_without_a_suffix_requires_capa(rewritten):
    header = "#!/usr/bin/env -S uv run --script\n# /// script\n# dependencies = [{}]\n# ///\n"
    result = rewritten(header.format('"requests"') + "import requests\n", "ping")

    assert '# dependencies = ["requests", "capa-core[requests]"]\n' in result.text.decode()


def test_broken_script_is_a_failure(rewritten):
    outcome = rewritten("#!/usr/bin/env python\nimport requests\nprint 'x'\n", "bin/ping").outcome

    assert ("failed", 3) == (outcome.status, outcome.line)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a", True), ("a.b/c", True), ("a/b.c", False), (".hook", False), ("a/.b", False), ("b.", False)],
)
def test_name_without_a_suffix_may_be_that_of_a_script(path, expected):
    assert expected == may_be_script(path)


def test_scripts_of_a_tree_are_found_by_their_first_line(tmp_path):
    line = b"#!/usr/bin/env python\n"
    for name, data in {"a": line, "b": b"x", "c.cgi": line, "d.cgi": line}.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "folder").mkdir()

    found = find_scripts(str(tmp_path), ["a", "b", "c.cgi", "d.cgi", "link", "folder", "gone"], ["c.cgi"])

    assert {"a", "c.cgi"} == found
