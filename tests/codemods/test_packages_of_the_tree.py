"""Packages of the tree that are called like an SDK: in a top-level one the name means itself, below others the SDK."""

from __future__ import annotations

import pytest

IMPORT = "from celery import Celery\n"
MOVED = "from capa_celery import Celery\n"


@pytest.mark.parametrize(
    ("path", "files"),
    [
        ("shop/plugins/celery/app.py", ["shop/plugins/celery/__init__.py"]),
        ("src/acme/celery/app.py", ["src/acme/celery/__init__.py", "pyproject.toml"]),
        (
            "src/acme/celery/inner/app.py",
            ["src/acme/celery/__init__.py", "src/acme/celery/inner/__init__.py"],
        ),
        ("part/src/acme/celery/app.py", ["part/src/acme/celery/__init__.py", "part/setup.py"]),
        ("vendor/acme/celery/app.py", ["vendor/acme/celery/__init__.py"]),
    ],
)
def test_package_below_a_namespace_package_uses_the_sdk(rewritten, path, files):
    result = rewritten(IMPORT, path, dict.fromkeys([*files, path], ""))

    assert (MOVED.encode(), []) == (result.text, result.messages)


@pytest.mark.parametrize(
    ("path", "files"),
    [
        ("celery/app.py", ["celery/__init__.py"]),
        ("src/celery/app.py", ["src/celery/__init__.py"]),
        ("part/celery/app.py", ["part/celery/__init__.py", "part/pyproject.toml"]),
        ("part/src/celery/app.py", ["part/src/celery/__init__.py", "part/setup.cfg"]),
        ("lib/celery/app.py", ["lib/celery/__init__.py"]),
        ("src/acme/_vendor/celery/app.py", ["src/acme/_vendor/celery/__init__.py"]),
    ],
)
def test_package_on_the_path_means_itself(rewritten, path, files):
    result = rewritten(IMPORT, path, dict.fromkeys([*files, path], ""))

    assert (IMPORT.encode(), []) == (result.text, result.messages)


def test_package_beside_a_script_may_mean_itself_and_is_noted(rewritten):
    files = dict.fromkeys(["tools/run.py", "tools/celery/__init__.py", "tools/celery/app.py"], "")
    result = rewritten(IMPORT, "tools/celery/app.py", files)

    assert IMPORT.encode() == result.text
    assert ["this file belongs to a package `celery` of the tree, tools/celery"] == result.messages


def test_place_that_the_user_names_is_on_the_path(names, tmp_path):
    from capa_codemods.project import Project

    (tmp_path / "shop/plugins/celery").mkdir(parents=True)
    (tmp_path / "shop/plugins/celery/__init__.py").touch()

    assert Project(str(tmp_path), names, [], ["shop/plugins"]).refusal("celery", "shop/plugins/celery/a.py")
    assert not Project(str(tmp_path), names, []).refusal("celery", "shop/plugins/celery/a.py")
