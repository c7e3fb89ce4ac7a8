"""Misspelt words of a command line: the message names the word that was probably meant."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["scna"], "capa: there is no command `scna`: did you mean `scan`? `capa --help` lists all\n"),
        (["--verison"], "capa: there is no command `--verison`: did you mean `--version`?"),
        (["migrate", "aplly"], "capa migrate: argument ACTION: invalid choice: 'aplly'"),
        (["migrate", "aplly"], ": did you mean `apply`?\n`capa migrate --help` lists the options\n"),
        (["queue", "lsit"], ": did you mean `list`?"),
        (["scan", ".", "--jsn"], "capa scan: unrecognized arguments: --jsn: did you mean `--json`?\n"),
        (["migrate", "apply", "--comit"], "capa migrate apply: unrecognized arguments: --comit: did you mean `--commit`?"),  # noqa: E501
        (["scan", ".", "--ouput=x"], ": did you mean `--output`?"),
        (["scan", ".", "--format", "sariff"], ": did you mean `sarif`?"),
        (["completion", "bsh"], ": did you mean `bash`?"),
        (["migrate", "check", ".", "--only", "improts"], "there is no rule `improts`: did you mean `imports`?"),
    ],
)  # fmt: skip
def test_nearest_word_is_named(capa, project, monkeypatch, words, message):
    monkeypatch.chdir(project)
    ran = capa(*words)

    assert (3, "") == (ran.code, ran.out)
    assert message in ran.err


@pytest.mark.parametrize("words", [["frobnicate"], ["migrate", "frobnicate"], ["scan", ".", "--wibble"]])
def test_nothing_is_guessed_for_a_word_that_is_like_no_other(capa, words):
    ran = capa(*words)

    assert 3 == ran.code
    assert "did you mean" not in ran.err


def test_every_command_is_suggested_for_a_slip_in_its_name(capa):
    from capa_migration.cli import COMMANDS

    for command in COMMANDS:
        slip = command[:-2] + command[-1] + command[-2]

        assert f"did you mean `{command}`?" in capa(slip).err
