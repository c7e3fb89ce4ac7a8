"""The examples of README, tutorial and how-to guides run as they stand, in the order of their page."""

import importlib
import os
import subprocess
import sys
import threading
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from capa_core import Runtime, use_runtime

from .pages import NOTES, PAGES, ROOT, RUN, SHOWN, Block, blocks, commands, indented

GUIDES = [page for page in PAGES if page.parent.name in {"tutorial", "how-to"} or page.parent == ROOT]
ENDS_WITHIN_S = 60
SERVERS = {"old_broker": "redis"}
"""The servers of engines that fixtures of pages need."""
#: Blocks that are not run: each has its reason on the page.
NOT_RUN = 5

pytestmark = pytest.mark.timeout(180)


class Examples:
    """The examples of one page, which share a folder, the names of Python code, and a shell's environment."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path, environment: dict[str, str]) -> None:
        self._request = request
        self._folder = folder
        self._environment = environment
        self._names: dict[str, object] = {"__name__": "example"}

    def run(self, block: Block) -> None:
        """Run *block*, or write the file whose content it is."""
        if name := block.notes.get("in"):
            self._enter(self._request.getfixturevalue(name)())
        if block.file:
            self._write(block.file, block.text)
        if block.language == "python":
            self._run_python(block)
        elif block.language == "shell":
            self._run_shell(block)

    def _enter(self, folder: Path) -> None:
        self._folder = folder
        os.chdir(folder)

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self._folder / name).write_text(text)

    def _run_python(self, block: Block) -> None:
        if block.file and block.file.startswith("test_"):
            self._command("pytest -q " + block.file, block)
        elif block.file:
            importlib.import_module(block.file.removesuffix(".py").replace("/", "."))
        else:
            # So many lines before it that a traceback shows the line of the page.
            code = compile("\n" * (block.line - 1) + block.text, block.page, "exec")
            exec(code, self._names)

    def _run_shell(self, block: Block) -> None:
        for command in commands(block.text):
            self._command(command, block)

    def _command(self, command: str, block: Block) -> None:
        if "until" in block.notes:
            printed, code = self._stopped(command, block.notes["until"])
        else:
            answers = block.notes.get("answers", "").split()
            at_a_terminal = ["script", "--quiet", "--return", "--command", command, "/dev/null"]
            done = subprocess.run(
                at_a_terminal if answers else ["bash", "-c", command],
                cwd=self._folder,
                env=self._environment,
                input="".join(f"{word}\n" for word in answers),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=120,
            )
            printed, code = done.stdout, done.returncode
        # That something would change is not an error (docs/reference/exit-codes.md).
        expected = {0, 1} if command.startswith(("capa migrate diff", "capa migrate check")) else {0}
        assert code in expected, f"{block.place}: {command}\n{printed}"

    def _stopped(self, command: str, words: str) -> tuple[str, int]:
        """Run *command* until it has printed *words*, and ask it to end."""
        with subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            watch = threading.Timer(ENDS_WITHIN_S, process.kill)
            watch.start()
            printed = ""
            try:
                for line in process.stdout:
                    printed += line
                    if words in line:
                        process.terminate()
                return printed, process.wait()
            finally:
                watch.cancel()
                process.kill()


@pytest.fixture
def examples(request, tmp_path, page, environment, monkeypatch):
    monkeypatch.chdir(page)
    monkeypatch.syspath_prepend(page)
    before = set(sys.modules)
    with Runtime(start=page, environ={}) as runtime, use_runtime(runtime):
        yield Examples(request, page, environment)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def _with_its_servers(guide: Path) -> object:
    needed = {SERVERS[name] for block in blocks(guide) if (name := block.notes.get("in")) in SERVERS}
    return pytest.param(guide, id=guide.stem, marks=[pytest.mark.server(name) for name in sorted(needed)])


@pytest.mark.parametrize("guide", [*map(_with_its_servers, GUIDES)])
def test_each_example_runs(guide, examples):
    for block in blocks(guide):
        if "not run" not in block.notes:
            examples.run(block)


def test_each_example_that_is_not_run_has_a_reason():
    reasons = [
        block.notes["not run"] for page in GUIDES for block in blocks(page) if "not run" in block.notes
    ]

    assert len(reasons) == NOT_RUN, reasons
    assert all(reasons)


@pytest.mark.parametrize("document", PAGES, ids=lambda page: page.stem)
def test_every_block_is_fenced_with_its_language_and_notes_that_are_known(document):
    found = list(blocks(document))

    assert Counter() == Counter(block.place for block in found if block.language not in RUN | SHOWN)
    assert set() == {note for block in found for note in block.notes} - NOTES
    assert document not in GUIDES or indented(document) == []


def test_an_indented_block_is_found(tmp_path):
    (tmp_path / "page.md").write_text("Do\n\n    this\n\n- or\n  that\n\n```python\nif x:\n\n    y\n```\n")

    assert ["    this"] == indented(tmp_path / "page.md")


SETTINGS = [
    pytest.param(block.text, id=block.place)
    for page in PAGES
    for block in blocks(page)
    if block.language == "toml"
    and not block.file
    and "[tool." not in block.text
    and page.stem != "import-map"
]


@pytest.mark.parametrize("text", SETTINGS)
def test_settings_are_accepted_in_each_of_their_profiles(text, tmp_path):
    (tmp_path / "capa.toml").write_text(text)
    profiles = [None, *tomllib.loads(text).get("profiles", {})]
    files = [Runtime(start=tmp_path, profile=profile, environ={}).loaded.file for profile in profiles]

    assert [tmp_path / "capa.toml"] * len(profiles) == files


PYTHON = [
    pytest.param(block.text, id=block.place)
    for page in PAGES
    for block in blocks(page)
    if block.language == "python" and page not in GUIDES
]


@pytest.mark.parametrize("text", PYTHON)
def test_python_of_the_other_pages_runs(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        exec(compile(text, "example", "exec"), {"__name__": "example"})
