"""Lines on a stream that processes share: each is whole, whoever else writes, and any text can be one."""

import io
import json
import os
import sys
from types import SimpleNamespace

import pytest

from capa_core.blocks.telemetry.lines import as_bytes, write
from capa_core.conformance._processes import Child

LINES = [{"line": "x" * 1000, "number": number} for number in range(200)]


@pytest.fixture
def pipe(monkeypatch):
    """The reading end of a pipe in the place of the standard output."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w") as writer:
        monkeypatch.setattr("capa_core.blocks.telemetry.lines.sys", SimpleNamespace(stdout=writer))
        yield SimpleNamespace(reader=reader, writer=writer)


def test_processes_break_no_line_of_each_other(pipe):
    """A pipe that is full takes parts of a longer write, between which others come."""
    children = [Child(lambda: write("stdout", LINES)) for _ in range(4)]
    pipe.writer.close()
    text = b"".join(iter(lambda: pipe.reader.read1(3000), b""))
    for child in children:
        child.result()

    assert sorted(4 * [each["number"] for each in LINES]) == sorted(
        json.loads(line)["number"] for line in text.splitlines()
    )


def test_text_that_utf_8_cannot_hold_is_escaped():
    (line,) = as_bytes([{"name": "a\udcff"}])

    assert {"name": "a\udcff"} == json.loads(line)


@pytest.mark.parametrize("kind", ["none", "closed"])
def test_a_stream_that_is_closed_is_named(kind, monkeypatch, tmp_path):
    file = None
    if kind == "closed":
        file = (tmp_path / "stderr").open("w")
        file.close()
    monkeypatch.setattr(sys, "stderr", file)
    with pytest.raises(OSError, match="the stderr of this process is closed"):
        write("stderr", LINES)


def test_an_object_without_a_file_takes_lines(monkeypatch):
    text = io.StringIO()
    monkeypatch.setattr(sys, "stdout", text)
    write("stdout", [{"a": 1}])

    assert '{"a": 1}\n' == text.getvalue()
