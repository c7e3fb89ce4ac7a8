"""`capa completion`: each installed shell completes the words of capa."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from capa_migration.cli import COMMANDS, main

IN_BASH = """\
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_shtab_capa
printf '%s\\n' "${COMPREPLY[@]}"
"""

IN_ZSH = """\
fpath=({folder} $fpath); autoload -U compinit; compinit -u -D; capa() {{ print -r "ran: $*;" }}; print 'READY'';'
"""

WORDS = [
    (["capa", "mig"], ["migrate"]),
    (["capa", "migrate", ""], ["apply", "check", "diff", "drain", "status", "undo"]),
    (["capa", "migrate", "apply", "--comm"], ["--commit"]),
    (["capa", "migrate", "check", "--format", "s"], ["sarif"]),
    (["capa", "migrate", "check", "--only", "im"], ["imports"]),
    (["capa", "migrate", "check", "first.py", "sec"], ["second.py"]),
    (["capa", "scan", "--exclude", "fir"], ["first.py"]),
    (["capa", "completion", "z"], ["zsh"]),
]


@pytest.fixture
def script(capsys, tmp_path, monkeypatch):
    """Return a function that writes the script for a shell, in a folder with two files, and returns its path."""

    def write(shell: str, name: str) -> str:
        assert 0 == main(["completion", shell])
        (tmp_path / name).write_text(capsys.readouterr().out)
        return str(tmp_path / name)

    for name in ("first.py", "second.py"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return write


def _needs(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"there is no {shell} here: install it to try its completion")
    return found


@pytest.mark.parametrize(("words", "completed"), WORDS)
def test_bash_completes(script, words, completed):
    run = [_needs("bash"), "--norc", "-c", IN_BASH, "bash", script("bash", "capa.bash"), *words]

    ran = subprocess.run(run, capture_output=True, text=True)

    assert completed == sorted(ran.stdout.split())


@pytest.mark.parametrize(("words", "completed"), WORDS)
def test_fish_completes(script, tmp_path, words, completed):
    typed = " ".join(words)
    run = [
        _needs("fish"),
        "--no-config",
        "-c",
        f"source {script('fish', 'capa.fish')}; complete -C '{typed}'",
    ]

    ran = subprocess.run(run, capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)})

    assert completed == sorted(line.split("\t")[0] for line in ran.stdout.splitlines() if line)


def test_zsh_completes_at_a_terminal(script, tmp_path):
    zsh = _needs("zsh")
    script("zsh", "_capa")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [zsh, "-f", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    )
    os.close(theirs)
    os.write(ours, IN_ZSH.format(folder=tmp_path).encode())
    _read_until(ours, r"(READY);")
    ran = []
    for typed in ("capa mig\tap\t--comm\t", "capa migrate check fi\tsec\t", "capa scan --format s\t"):
        os.write(ours, f"{typed}\n".encode())
        ran.append(_read_until(ours, r"\nran: (.*?) ?;"))
    os.write(ours, b"exit\n")
    process.wait()
    os.close(ours)

    assert ["migrate apply --commit", "migrate check first.py second.py", "scan --format sarif"] == ran


def test_every_command_can_be_completed(script):
    text = Path(script("bash", "capa.bash")).read_text()

    assert f"_shtab_capa_subparsers=({' '.join(COMMANDS)})" in text


def test_without_the_library_the_extra_is_named(capa, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)

    ran = capa("completion", "bash")

    assert (3, "") == (ran.code, ran.out)
    assert "completion needs a library: pip install 'capa-core[migrate]'" in ran.err


def test_unknown_shell_is_refused(capa):
    ran = capa("completion", "tcsh")

    assert 3 == ran.code
    assert "invalid choice: 'tcsh'" in ran.err


def _read_until(handle: int, pattern: str) -> str:
    """Return the group of *pattern* as soon as the shell shows it."""
    text = ""
    while (found := re.search(pattern, text)) is None:
        text += os.read(handle, 4096).decode(errors="replace")
    return found[1]
