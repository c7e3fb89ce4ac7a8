"""The formats of secret files. Errors name the file and the place in it, and never show its content."""

from __future__ import annotations

import io
import json
import os
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values

from capa_core.errors import SettingsError, UnavailableError

Fields = Mapping[str, str]
T = TypeVar("T")

_LONGEST_FILE_NAME = 255
_SETTLED_NS = 2_000_000_000
_MOST_TRIES = 5


class SecretFile:
    """A `.json`, `.toml` or `.env` file with many secrets, read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, ...] = ()
        self._secrets: dict[str, Fields] = {}

    def get(self, name: str) -> Fields | None:
        """Return the fields of a secret; `None` if there is none."""
        return self.all().get(name)

    def all(self) -> dict[str, Fields]:
        """Return all secrets; none if the file does not exist.

        Raises:
            SettingsError: The file is malformed.
        """
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return {}
        seen = (status.st_ino, status.st_size, status.st_mtime_ns)
        if seen != self._seen:
            self._secrets = _parsed(self.path)
            # The times of files have steps of some milliseconds: a change in the same step would not be seen.
            settled = time.time_ns() - status.st_mtime_ns > _SETTLED_NS
            self._seen = seen if settled else ()
        return self._secrets


class SecretFolder:
    """A folder with one file for each secret, as Docker and Kubernetes mount them.

    The name of the file is the name of the secret, its text is the value, less one line end. A folder in it is a
    secret whose files are its fields. Names that begin with a dot are skipped: there Kubernetes keeps the versions of a
    mounted secret. All that is read at once is of one version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, name: str) -> Fields | None:
        """Return the fields of a secret; `None` if there is none."""
        if name.startswith(".") or any(character in name for character in "/\\\0"):
            return None  # its path would be outside the folder
        if len(name.encode()) > _LONGEST_FILE_NAME:
            return None
        return _secret_at(self.path / name)

    def all(self) -> dict[str, Fields]:
        """Return all secrets; none if the folder does not exist."""
        return _of_one_version(self.path, _secrets_in)


def source(path: Path) -> SecretFile | SecretFolder:
    """Return the reader of *path*: by its suffix if that is known, else as a folder.

    Raises:
        SettingsError: It is a file with an unknown suffix.
    """
    if _kind(path) in _PARSERS:
        return SecretFile(path)
    if path.is_file():
        raise SettingsError(f"{path}: secrets are read from {', '.join(_PARSERS)} files and from folders.")
    return SecretFolder(path)


def _kind(path: Path) -> str:
    """Return the suffix; that of `.env`, `.env.local` and `prod.env` is `.env`."""
    return ".env" if path.name.startswith(".env") else path.suffix.lower()


def _parsed(path: Path) -> dict[str, Fields]:
    content = _PARSERS[_kind(path)](path, _text(path))
    if not isinstance(content, dict):
        raise SettingsError(
            f"{path}: name the secrets: it must hold an object, not a {type(content).__name__}."
        )
    return {name: _fields(value) for name, value in content.items() if value is not None}


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingsError(
            f"{path}: not valid JSON at line {error.lineno}: {error.msg}. Correct the file."
        ) from None
    except (ValueError, RecursionError) as error:
        problem = "nested too deeply" if isinstance(error, RecursionError) else "a number has too many digits"
        raise SettingsError(f"{path}: not valid JSON: {problem}. Correct the file.") from None


def _toml(path: Path, text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = str(error).rpartition("(")[2].rstrip(")")  # the rest may quote the content
        raise SettingsError(f"{path}: not valid TOML {place}. Correct the file.") from None
    except ValueError:
        raise SettingsError(
            f"{path}: not valid TOML: a number has too many digits. Correct the file."
        ) from None


def _env(path: Path, text: str) -> Any:
    del path
    return dotenv_values(stream=io.StringIO(text), interpolate=False)


_PARSERS = {".env": _env, ".json": _json, ".toml": _toml}


def _fields(value: Any) -> Fields:
    """Return an object as fields and anything else as a single value."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return {"": _plain(value)}


def _plain(value: Any) -> str:
    """Return a text unchanged and any other value as JSON."""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _secrets_in(folder: Path) -> dict[str, Fields]:
    each = {path.name: _secret_at(path) for path in _visible(folder)}
    return {name: fields for name, fields in each.items() if fields is not None}


def _secret_at(path: Path) -> Fields | None:
    if path.is_dir():
        return _of_one_version(path, _fields_in)
    return {"": _text(path, whole=False)} if path.is_file() else None


def _fields_in(folder: Path) -> Fields:
    return {file.name: _text(file, whole=False) for file in _visible(folder) if file.is_file()}


def _of_one_version(folder: Path, read: Callable[[Path], T]) -> T:
    """Return what *read* returns of *folder*; where Kubernetes mounts it, of one version.

    Kubernetes replaces the link `..data` in one step, and then removes the version that it led to. Files that are
    opened one after the other through the link could be of two versions, or of one of which a part is gone.

    Raises:
        UnavailableError: It was replaced again and again.
    """
    for _ in range(_MOST_TRIES):
        version = _version(folder)
        try:
            found = read(folder / version)
        except FileNotFoundError:
            if version == _version(folder):
                raise
        else:
            if version == _version(folder):
                return found
    raise UnavailableError(f"{folder}: it was replaced {_MOST_TRIES} times while it was read. Try again.")


def _version(folder: Path) -> Path:
    """Return where the present version is, below *folder*: `.` if Kubernetes does not mount it."""
    try:
        return (folder / "..data").readlink()
    except OSError:
        return Path()


def _visible(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in os.listdir(folder) if not name.startswith(".")]  # noqa: PTH208 - names only
    except (FileNotFoundError, NotADirectoryError):
        return []


def _text(path: Path, *, whole: bool = True) -> str:
    """Return the text of the file; without its last line end unless *whole*."""
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        raise SettingsError(
            f"{path}: it is not UTF-8 text. Encode binary values, for example in Base64."
        ) from None
    return text if whole else text.removesuffix("\n").removesuffix("\r")
