"""Progress of a scan at a terminal, and its end by Ctrl-C."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

import pytest

from capa_codemods.pipeline.each_file import PAYS_ABOVE
from capa_migration.cli import terminal
from capa_migration.rewrite.scan.progress import COUNTED, FOLLOWED, READ
from capa_migration.rewrite.scan.survey import survey
from capa_migration.rewrite.target import Options


@pytest.fixture
def line(monkeypatch):
    """Return a progress line at a terminal whose clock shows the given times."""

    def at(*times):
        clock = iter(times)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(terminal.time, "monotonic", lambda: next(clock))
        return terminal.ProgressLine()

    return at


def test_each_pass_counts_files_that_are_really_done(tmp_path):
    (tmp_path / "a.py").write_text("import requests\nsession = requests.Session()\n")
    (tmp_path / "b.py").write_text("from a import session\nsession.get(1)\n")
    (tmp_path / "c.py").write_text("import os\n")
    seen = []
    survey(str(tmp_path), Options(), lambda *shown: seen.append(shown))

    assert [
        (1, 3, READ),
        (2, 3, READ),
        (3, 3, READ),
        (1, 1, FOLLOWED),
        (1, 2, COUNTED),
        (2, 2, COUNTED),
    ] == seen


def test_another_pass_has_a_rate_of_its_own(line, capsys):
    show = line(0.0, 100.0, 101.5, 102.0)
    show(1, 1_000, "searched")
    show(31, 1_000, "searched")
    show(41, 1_000, "searched")

    first, second, third = capsys.readouterr().err.split("\r")[1:]
    assert "1 of 1,000 files searched" == first.rstrip()
    assert "31 of 1,000 files searched, 20/s, 48 s left" == second.rstrip()
    assert "41 of 1,000 files searched, 20/s, 48 s left" == third.rstrip()


def test_no_time_is_estimated_before_a_rate_was_measured(line, capsys):
    show = line(0.0, 100.0, 100.5)
    show(1, 1_000, "searched")
    show(2, 1_000, "searched")

    assert "left" not in capsys.readouterr().err


@pytest.fixture
def large(tmp_path):
    """Return a tree that takes some seconds to scan, and that more than one process reads."""
    source = tmp_path / "m0.py"
    source.write_text("import requests\n" + "requests.get(1, proxies=p)\n" * 2_000)
    for number in range(1, PAYS_ABOVE + 20):
        os.link(source, tmp_path / f"m{number}.py")
    return tmp_path


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kill", [os.kill, os.killpg], ids=["process", "terminal"])
def test_ctrl_c_ends_it_at_once_with_all_its_processes(capa_process, large, kill):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        capa_process("scan", large), stdout=subprocess.DEVNULL, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    text = b""
    while COUNTED.encode() not in text:
        text += os.read(ours, 4096)
    kill(process.pid, signal.SIGINT)

    assert 130 == process.wait(20)
    while not text.endswith(b"interrupted; nothing was changed\r\n"):
        text += os.read(ours, 4096)
    os.close(ours)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
