"""The note that Capa is on no package index: once in each output that shows its requirement, and nowhere else."""

from __future__ import annotations

import json
import re

import pytest

from capa_core.installing import NOT_ON_AN_INDEX

SOURCE = "import requests\n"


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "a.py").write_text(SOURCE)
    (tmp_path / "requirements.txt").write_text("flask==3.0.0\nrequests==2.32.3\n")
    return tmp_path


def _count(ran):
    return (ran.out + ran.err).count(NOT_ON_AN_INDEX)


@pytest.mark.parametrize("action", ["check", "diff", "apply"])
def test_it_ends_what_adds_the_requirement(capa, tree, action):
    ran = capa("migrate", action, tree)
    lines = (ran.err if action == "diff" else ran.out).splitlines()

    assert 1 == _count(ran)
    assert NOT_ON_AN_INDEX in lines[-2:]


def test_a_check_of_what_has_moved_is_silent(capa, tree):
    capa("migrate", "apply", tree)

    assert 0 == _count(capa("migrate", "check", tree))


def test_a_change_without_a_requirement_is_silent(capa, tree):
    (tree / "requirements.txt").write_text("requests\ncapa-core[requests]\n")

    assert 0 == _count(capa("migrate", "apply", tree))


def test_a_warning_that_names_the_requirement_has_it_too(capa, tree):
    (tree / "requirements.txt").write_text("flask\n")

    assert 1 == _count(capa("migrate", "apply", tree))


def test_a_file_with_hashes_keeps_its_bytes_and_gets_a_warning_with_the_note(capa, tree):
    text = "requests==2.32.3 --hash=sha256:00\n"
    (tree / "requirements.txt").write_text(text)
    ran = capa("migrate", "apply", tree)

    assert text == (tree / "requirements.txt").read_text()
    assert (
        "warning: requires requests without capa-core[requests]: pip refuses a line without a hash" in ran.out
    )
    assert 1 == _count(ran)


def test_markdown_has_it(capa, tree):
    assert 1 == _count(capa("migrate", "check", tree, "--format", "markdown"))


def test_data_stays_data(capa, tree):
    ran = capa("migrate", "check", tree, "--json")

    assert json.loads(ran.out)
    assert 0 == _count(ran)


def test_the_pin_is_the_version_of_the_wheel_that_is_named(capa, tree):
    capa("migrate", "apply", tree)
    (pin,) = re.findall(r"capa-core\[requests\]==(\S+)", (tree / "requirements.txt").read_text())

    from importlib.metadata import version

    assert version("capa-core") == pin
