"""Hostile repositories: none of their programs runs, nothing outside is touched, every run ends soon."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CAPA = Path(sys.executable).with_name("capa")
COMMANDS = (
    ("scan",),
    ("migrate", "check"),
    ("migrate", "diff"),
    ("migrate", "status"),
    ("migrate", "apply", "--allow-dirty"),
    ("migrate", "check"),
    ("migrate", "undo"),
    ("report",),
)
SECONDS = 60
TRAPS = (
    *(
        "json.py",
        "ast.py",
        "re.py",
        "libcst.py",
        "tomllib.py",
        "encodings.py",
        "sitecustomize.py",
        "usercustomize.py",
    ),
    *(
        "conftest.py",
        "setup.py",
        "celery.py",
        "capa_core/__init__.py",
        "capa_codemods/__init__.py",
        "requests/__init__.py",
    ),
)
API = "import requests\n\n\ndef load(url):\n    return requests.get(url).json()\n"
NEWER = "import requests\n\ntype Url[T] = list[T]\nf'{'a'}'\n"


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    (root / "api.py").write_text(API)
    return root


@pytest.fixture
def trap(tmp_path):
    """A program that leaves a trace when it is run."""
    path = tmp_path / "trap"
    path.write_text(f"#!/bin/sh\necho trapped >> {tmp_path}/trapped\ncat\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def run_all(capa, repository, monkeypatch):
    """Return a function that runs every command, and returns whether the rewrite was made; it is undone."""

    def run():
        monkeypatch.chdir(repository)
        seen = []
        for words in COMMANDS:
            assert capa(*words, ".").code in {0, 1, 2, 3}
            seen.append((repository / "api.py").read_text())

        assert API == seen[0] == seen[-1]
        return "capa_requests" in seen[4]

    return run


def _run(root, *words, prefix=()):
    """Run one command in a process of its own, as a user does, in the repository."""
    ran = subprocess.run(
        [*prefix, CAPA, *words, "."],
        cwd=root,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
    )

    assert "Traceback" not in ran.stderr, ran.stderr
    assert ran.returncode in {0, 1, 2, 3}
    return ran


def _git(root, *words):
    settings = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always"]
    subprocess.run(["git", "-C", root, *settings, *words], check=True, capture_output=True)


def _commit_all(root):
    _git(root, "init", "-q")
    _git(root, "add", "-A")
    _git(root, "commit", "-q", "-m", "all")


def test_modules_of_the_repository_are_never_imported(repository, tmp_path):
    spring = f"open({str(tmp_path / 'trapped')!r}, 'w')\n"
    for name in TRAPS:
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text(spring)
    (repository / "trap.pth").write_text(f"import os; {spring}")
    (repository / "newer.py").write_text(NEWER)  # which another process reads

    for words in COMMANDS:
        _run(repository, *words)

        assert not (tmp_path / "trapped").exists(), words
    assert API == (repository / "api.py").read_text()


@pytest.mark.parametrize(
    "name",
    [
        *("pyproject.toml", "requirements.txt", "setup.cfg", "Dockerfile", "capa.toml", "app.py", "a.ipynb"),
        *(
            "CODEOWNERS",
            ".capa",
            ".capa-migrate",
            ".capa-migrate/settled",
            ".capa-migrate/lock",
            ".capa-migrate/history",
            ".capa-migrate/report.html",
        ),
        *(".capa-migrate/.gitignore", ".capa-migrate/journal", ".git", ".gitignore", ".gitattributes"),
    ],
)
@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_special_files_and_links_are_not_opened(repository, run_all, tmp_path, name, kind):
    place = repository / name
    place.parent.mkdir(parents=True, exist_ok=True)
    outside = tmp_path / "outside"
    outside.write_text("precious\n")
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(outside)

    run_all()

    assert "precious\n" == outside.read_text()


GIT_PROGRAMS = (
    *("core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "core.askPass", "core.gitProxy"),
    *(
        "diff.external",
        "diff.x.command",
        "diff.x.textconv",
        "filter.x.clean",
        "filter.x.smudge",
        "filter.x.process",
    ),
    *("merge.x.driver", "gpg.program", "credential.helper", "uploadpack.packObjectsHook", "alias.status"),
)


def _set_all(trap, *where):
    for key in GIT_PROGRAMS:
        subprocess.run(["git", "config", *where, key, f"!{trap}" if "alias" in key else trap], check=True)


@pytest.mark.parametrize("place", ["local", "included", "included-if", "worktree", "hooks", "hooks-path"])
def test_programs_that_git_is_set_to_run_are_not_run(repository, run_all, tmp_path, trap, place):
    (repository / ".gitattributes").write_text("*.py filter=x diff=x merge=x\n")
    _commit_all(repository)
    config, more = repository / ".git/config", repository / ".git/more"
    if place == "local":
        _set_all(trap, "--file", config)
    elif place.startswith("included"):
        _set_all(trap, "--file", more)
        section = "include" if place == "included" else f"includeIf.gitdir:{repository}/"
        subprocess.run(["git", "config", "--file", config, f"{section}.path", more], check=True)
    elif place == "worktree":
        _git(repository, "config", "extensions.worktreeConfig", "true")
        _set_all(trap, "--file", repository / ".git/config.worktree")
    elif place == "hooks":
        for name in ("pre-commit", "post-index-change", "fsmonitor-watchman", "reference-transaction"):
            shutil.copy(trap, repository / ".git/hooks" / name)
    else:
        (repository / "hooks").mkdir()
        shutil.copy(trap, repository / "hooks/post-index-change")
        _git(repository, "config", "core.hooksPath", "hooks")
    os.utime(repository / "api.py", (1, 1))  # so that git has to look into it again

    run_all()

    assert not (tmp_path / "trapped").exists()


def test_programs_of_a_submodule_are_not_run(repository, run_all, tmp_path, trap):
    other = tmp_path / "other"
    other.mkdir()
    (other / "lib.py").write_text(API)
    (other / ".gitattributes").write_text("*.py filter=x\n")
    _commit_all(other)
    _git(repository, "init", "-q")
    _git(repository, "submodule", "add", "-q", other, "sub")
    _commit_all(repository)
    _set_all(trap, "--file", repository / ".git/modules/sub/config")
    os.utime(repository / "sub/lib.py", (1, 1))

    assert run_all()

    assert not (tmp_path / "trapped").exists()
    assert API == (repository / "sub/lib.py").read_text()  # a repository of its own


@pytest.mark.parametrize(
    "name", ["new\nline", "no-utf8-\udcff", "-rf", "--help", " ", "$(touch x)", "a\x1b[2J", '"q"', "\\"]
)
@pytest.mark.parametrize("in_git", [False, True], ids=["folder", "git"])
def test_files_of_any_name_are_rewritten_and_back(capa, repository, name, in_git):
    odd = repository / name / f"{name}.py"
    odd.parent.mkdir()
    odd.write_text(API)
    if in_git:
        _commit_all(repository)

    ran = capa("migrate", "apply", repository)
    assert (0, True) == (ran.code, "capa_requests" in odd.read_text())
    assert "\x1b" not in ran.out
    capa("migrate", "undo", repository)

    assert API == odd.read_text()


@pytest.mark.parametrize("tool", [["git", "apply"], ["patch", "-p1", "-s", "-i"]], ids=["git", "patch"])
@pytest.mark.parametrize(
    "name", ["a b.py", "new\nline.py", "größer.py", 'a"b.py', "back\\slash.py", "tab\t.py", "-rf.py"]
)
def test_patch_of_files_of_any_name_can_be_applied(capa, repository, tmp_path, name, tool):
    if shutil.which(tool[0]) is None:
        pytest.skip(f"{tool[0]} is not installed here")
    (repository / name).write_text(API)
    capa("migrate", "diff", repository, "--patch", tmp_path / "changes.patch")

    subprocess.run([*tool, tmp_path / "changes.patch"], cwd=repository, check=True)

    assert "capa_requests" in (repository / name).read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make files of other owners")
def test_git_folder_of_another_user_is_refused_by_git_and_asks_for_a_decision(capa, run_all, repository):
    _commit_all(repository)
    for path in [repository, *repository.rglob("*")]:
        os.chown(path, 1234, 1234)

    refused = capa("migrate", "apply", repository)

    assert "git does not report whether" in refused.err
    assert API == (repository / "api.py").read_text()
    assert run_all()


def test_sparse_checkout_and_worktree_are_rewritten_as_far_as_they_are_there(capa, repository, tmp_path):
    for folder in ("here", "there"):
        (repository / folder).mkdir()
        (repository / folder / "mod.py").write_text(API)
    _commit_all(repository)
    _git(repository, "sparse-checkout", "set", "here")
    _git(repository, "worktree", "add", "-q", tmp_path / "second", "-b", "second")

    for root in (repository, tmp_path / "second"):
        ran = capa("migrate", "apply", root)

        assert 0 == ran.code
        assert "2 files changed, 2 proven" in ran.out
        assert not (root / "there").exists()


@pytest.mark.parametrize("in_git", [False, True], ids=["folder", "git"])
def test_folders_too_deep_for_a_path_are_named(capa, run_all, repository, in_git):
    if in_git:
        _git(repository, "init", "-q")
    at = os.open(repository, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=at)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("deep.py", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)

    ran = capa("migrate", "check", repository)

    # git does not list unreachable paths.
    assert in_git or "File name too long" in ran.out
    assert run_all()


def test_folder_that_cannot_be_listed_is_named_and_the_rest_is_rewritten(repository):
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root is bound by no mode, and there is no setpriv to change that: install util-linux")
    (repository / "closed").mkdir()
    (repository / "closed").chmod(0)
    (repository / "flat").mkdir()
    (repository / "flat/a.py").write_text(API)
    (repository / "flat").chmod(0o444)
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []

    ran = _run(repository, "migrate", "apply", prefix=bound)

    assert 2 == ran.returncode
    assert "closed/: failed: cannot be listed: Permission denied" in ran.stdout
    assert "flat/a.py: failed: cannot be read: Permission denied" in ran.stdout
    assert "capa_requests" in (repository / "api.py").read_text()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("big.py", b"import requests\nx = '%(long)b'\n"),
        ("requirements.txt", b"requests  # %(long)b\n"),
        ("pyproject.toml", b"[tool.capa.migrate]\nroots = ['%(long)b']\n[project]\n"),
        ("big.ipynb", b'{"cells": [{"cell_type": "code", "source": "import requests\\n%(long)b"}]}'),
        ("Dockerfile", b"CMD celery %(long)b\n"),
        ("nested.py", b"import requests\n%(round)b\n"),
        ("nested.toml", b"x = %(square)b"),
        ("pyproject.toml", b"requests = %(square)b\ntool.capa.x = 1"),
        ("nested.ipynb", b'{"cells": %(square)b, "x": "import requests"}'),
        ("cookie.py", b"# coding: no-such\nimport requests\n"),
        ("cookies.py", b"\xef\xbb\xbf# coding: latin-1\nimport requests\n"),
        ("codec.py", b"# coding: idna\nimport requests\n"),
        ("hex.py", b"# coding: hex_codec\nimport requests\n"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_file_takes_bounded_time_and_memory(repository, name, data):
    filling = {
        b"long": b"y" * 50_000_000,
        b"round": b"(" * 10_000 + b")" * 10_000,
        b"square": b"[" * 10_000 + b"]" * 10_000,
    }
    (repository / name).write_bytes(data % filling)
    limit = ["prlimit", f"--as={2 << 30}"] if shutil.which("prlimit") else []

    for words in (("scan",), ("migrate", "apply")):
        ran = _run(repository, *words, prefix=limit)

    assert "capa_requests" in (repository / "api.py").read_text() or "pyproject.toml" in ran.stderr
