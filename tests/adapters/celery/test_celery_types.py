"""A type checker that passes `from celery.x import y` passes the rewritten import too: Celery has no types."""

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import capa_celery

MODULES = tomllib.loads(Path(capa_celery.__file__).with_name("import_map.toml").read_text())["modules"]


@pytest.mark.timeout(120)
def test_names_of_each_module_are_known_to_mypy(tmp_path: Path) -> None:
    imports = []
    for number, (old, new) in enumerate(MODULES.items()):
        names = getattr(importlib.import_module(old), "__all__", ())
        imports += [f"from {new} import {name} as n{number}_{name}" for name in sorted(names)[:3]]
    (tmp_path / "mypy.ini").write_text("[mypy]\nignore_missing_imports = true\n")
    (tmp_path / "after.py").write_text("\n".join(imports) + "\n")
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "after.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert (0, True) == (done.returncode, len(imports) > 100), done.stdout
