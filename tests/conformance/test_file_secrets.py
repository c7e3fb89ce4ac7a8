import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from capa_core.components.file.secrets import FileSecrets, FileSecretsSettings
from capa_core.conformance.secrets import SecretsConformance, Stock


def write_json(root: Path, secrets: Mapping) -> str:
    (root / "s.json").write_text(json.dumps(secrets))
    return "s.json"


def write_toml(root: Path, secrets: Mapping) -> str:
    simple = {name: value for name, value in secrets.items() if isinstance(value, str)}
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in simple.items()]
    for name in set(secrets) - set(simple):
        lines += [f"[{name}]", *(f'{field} = "{value}"' for field, value in secrets[name].items())]
    (root / "s.toml").write_text("\n".join(lines))
    return "s.toml"


def write_folder(root: Path, secrets: Mapping) -> str:
    """Write as Docker mounts: `/run/secrets/<name>`, usually with a line end that is not part of the value."""
    shutil.rmtree(root / "run", ignore_errors=True)
    (root / "run").mkdir()
    _write_files(root / "run", secrets)
    return "run"


def write_mounted(root: Path, secrets: Mapping) -> str:
    """Write as Kubernetes mounts: links through `..data`, replaced atomically."""
    folder = root / "mounted"
    version = f"..{len(list(folder.glob('..*')))}"
    (folder / version).mkdir(parents=True)
    _write_files(folder / version, secrets)
    (folder / "..new").symlink_to(version)
    (folder / "..new").replace(folder / "..data")
    for link in folder.glob("[!.]*"):
        link.unlink()
    for name in secrets:
        (folder / name).symlink_to(Path("..data", name))
    return "mounted"


def _write_files(folder: Path, secrets: Mapping) -> None:
    for name, value in secrets.items():
        if isinstance(value, str):
            (folder / name).write_text(value + "\n")
        else:
            (folder / name).mkdir()
            _write_files(folder / name, value)


class TestFileSecrets(SecretsConformance):
    @pytest.fixture(params=[write_json, write_toml, write_folder, write_mounted])
    def stock(self, request: pytest.FixtureRequest, tmp_path: Path) -> Stock:
        return lambda secrets: FileSecrets(
            FileSecretsSettings(root=tmp_path, path=request.param(tmp_path, secrets), environment=False)
        )
