"""Secrets from files and environment variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from capa_core.abilities import NATIVE, absent
from capa_core.blocks.secrets.driver import SecretsDriver, SecretsFeature
from capa_core.components.file._secret_files import Fields, source
from capa_core.errors import PermissionDeniedError, UnavailableError

_NOT_IN_VARIABLES = re.compile(r"[^A-Z0-9]+")


class FileSecretsSettings(BaseModel):
    """The sources of secrets, in this order: the paths, then the environment.

    Attributes:
        root: The base of relative paths. The folder of capa.toml by default.
        path: `.json`, `.toml` and `.env` files with many secrets, and folders with a file for each. The first that
            has a secret wins; missing ones are skipped.
        environment: Whether variables are read as well: `<env_prefix><name>`, or the same in capitals with `_` for
            each other character than letters and digits.
        env_prefix: The prefix of each variable. Without it, variables can be read by name but are not listed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: Path = Path()
    path: str | tuple[str, ...] = "secrets"
    environment: bool = True
    env_prefix: str = ""


class FileSecrets(SecretsDriver[FileSecretsSettings]):
    """Secrets from files and variables; each call checks the files and reads those that have changed."""

    settings_type = FileSecretsSettings
    features = {
        **dict.fromkeys(SecretsFeature, NATIVE),
        SecretsFeature.VERSIONS: absent("files hold the current values only"),
    }
    error_types = {PermissionError: PermissionDeniedError, OSError: UnavailableError}

    def __init__(self, settings: FileSecretsSettings) -> None:
        super().__init__(settings)
        paths = (settings.path,) if isinstance(settings.path, str) else settings.path
        self._sources = [source(settings.root / path) for path in paths]

    def get(self, name: str, version: str | None) -> Mapping[str, str] | None:
        """See `SecretsDriver.get`."""
        del version  # declared absent
        for each in self._sources:
            if (fields := each.get(name)) is not None:
                return fields
        return self._variable(name) if self.settings.environment else None

    def names(self) -> list[str]:
        """See `SecretsDriver.names`."""
        return list(self.get_all())

    def get_all(self) -> Mapping[str, Mapping[str, str]]:
        """See `SecretsDriver.get_all`."""
        found: dict[str, Fields] = self._listed_variables()
        for each in reversed(self._sources):
            found.update(each.all())
        return found

    def ping(self) -> str:
        """See `Driver.ping`."""
        self.get_all()
        places = [f"{each.path}{'' if each.path.exists() else ' (missing)'}" for each in self._sources]
        return ", ".join([*places, *(["environment variables"] if self.settings.environment else [])])

    def address(self) -> str:
        """See `Driver.address`."""
        return ", ".join(str(each.path) for each in self._sources)

    def close(self) -> None:
        """See `Driver.close`: no file stays open."""

    def _variable(self, name: str) -> Fields | None:
        named = _NOT_IN_VARIABLES.sub("_", name.upper())
        # The name of a secret may have no letter, and `_` is a variable of the shell's own.
        for variable in (name, named) if named.strip("_") else (name,):
            value = os.environ.get(self.settings.env_prefix + variable) if "\0" not in variable else None
            if value is not None:
                return {"": value}
        return None

    def _listed_variables(self) -> dict[str, Fields]:
        prefix = self.settings.env_prefix
        if not prefix or not self.settings.environment:
            return {}
        return {
            name.removeprefix(prefix): {"": value}
            for name, value in os.environ.items()
            if name.startswith(prefix)
        }
