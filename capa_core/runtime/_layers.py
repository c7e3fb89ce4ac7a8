"""The sources of settings in order: capa.toml, a profile in it, the environment, code. Later layers win.

Each layer is a tree of plain values with the text that names its place; merging keeps the place of each value.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capa_core.block import block_names
from capa_core.errors import SettingsError, UnknownNameError, nearest

FILE_NAME = "capa.toml"
PREFIX = "CAPA_"
SECTIONS = (*block_names(), "adapters", "bridges", "requires")
OPTIONS = ("profile", "embedded", "drain_s")

KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of settings.

    Attributes:
        tree: Section → name → key → value.
        place: A template for the place of a key, for messages; `{key}` stands for the dotted key.
    """

    tree: Mapping[str, Any] = field(repr=False)
    place: str

    def place_of(self, path: KeyPath) -> str:
        """Return the place of the value at *path* in this layer, for messages."""
        dotted = ".".join(path)
        return self.place.format(key=dotted, variable=PREFIX + "__".join(path).upper().replace("-", "_"))


@dataclass(slots=True)
class Merged:
    """The merged values of all layers and, for each, the place it came from."""

    tree: dict[str, Any] = field(default_factory=dict, repr=False)
    origins: dict[KeyPath, str] = field(default_factory=dict)

    def add(self, layer: Layer) -> None:
        """Merge *layer* over the earlier ones."""
        self._lay(self.tree, layer.tree, (), layer)

    def _lay(self, under: dict[str, Any], over: Mapping[str, Any], path: KeyPath, layer: Layer) -> None:
        if _changes_driver(under, over):
            # The settings of one driver mean nothing to another; the legacy addresses of the name remain valid.
            for key in set(under) - {"legacy"}:
                del under[key]
                self.origins.pop((*path, key), None)
        for key, value in over.items():
            here = (*path, key)
            present = under.get(key)
            if isinstance(value, Mapping) and isinstance(present, dict | None):
                self._lay(under.setdefault(key, {}), value, here, layer)
            else:
                under[key] = value
            self.origins[here] = layer.place_of(here)


def _changes_driver(under: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
    return "driver" in over and "driver" in under and over["driver"] != under["driver"]


def find_file(start: Path) -> Path | None:
    """Return the nearest entry named `capa.toml` in *start* or a folder above it, also one that is no file.

    `read_file` refuses a folder or a link to nothing: settings were meant to be there, and without them all data
    would stay on this machine.
    """
    return next((path for folder in (start, *start.parents) if _is_taken(path := folder / FILE_NAME)), None)


def _is_taken(path: Path) -> bool:
    """Return whether *path* is there, or hidden in a folder that may not be searched."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def read_file(path: Path) -> dict[str, Any]:
    """Return the tree of a capa.toml.

    Raises:
        SettingsError: It cannot be read, or is not TOML; the message has the line and column.
    """
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))  # editors on Windows write a byte order mark
    except OSError as error:
        raise SettingsError(f"{path}: {_obstacle(path, error)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(
            f"{path}: is not valid TOML: {error}. Nothing was started; correct the file."
        ) from error


def _obstacle(path: Path, error: OSError) -> str:
    """Return the reason why *path* cannot be read, and the next step."""
    if isinstance(error, IsADirectoryError):
        return (
            "is a folder and not a file of settings. Docker makes one where the file to mount is missing:"
            " mount the file, or remove the folder."
        )
    if path.is_symlink() and isinstance(error, FileNotFoundError):
        return f"is a link to {os.readlink(path)}, which is missing. Bring that file, or remove the link."  # noqa: PTH115 - as it is written
    return f"cannot be read: {error.strerror}. Check CAPA_CONFIG and the modes of the file and its folders."


def file_layers(path: Path, profile: str | None) -> tuple[list[Layer], str | None]:
    """Return the layers of a capa.toml, its base and the chosen profile, and the name of that profile.

    Raises:
        SettingsError: The file cannot be read, or the chosen profile names a profile.
        UnknownNameError: It has no such profile, or an unknown section.
    """
    tree = read_file(path)
    profiles = _profiles(tree.pop("profiles", {}), path)
    chosen = profile or tree.get("profile")
    if not isinstance(chosen, str | None):
        raise SettingsError(f'{path}: profile must be a string, such as profile = "dev".')
    check_sections(tree, str(path))
    layers = [Layer(tree, f"{path}: {{key}}")]
    if chosen is not None:
        if chosen not in profiles:
            raise UnknownNameError(
                f"{path}: no profile {chosen!r}.{nearest(chosen, profiles)} Add [profiles.{chosen}] or choose another."
            )
        _check_profile(profiles[chosen], f"{path}: profiles.{chosen}")
        layers.append(Layer(profiles[chosen], f"{path}: profiles.{chosen}.{{key}}"))
    return layers, chosen


def read_profiles(path: Path) -> dict[str, dict[str, Any]]:
    """Return the trees of the profiles of a capa.toml by name, as they are written there.

    Raises:
        SettingsError: The file cannot be read.
    """
    return _profiles(read_file(path).get("profiles", {}), path)


def _profiles(found: Any, path: Path) -> dict[str, dict[str, Any]]:
    if isinstance(found, dict) and all(isinstance(each, dict) for each in found.values()):
        return found
    raise SettingsError(f"{path}: profiles must hold tables such as [profiles.prod.state.default].")


def _check_profile(tree: Mapping[str, Any], place: str) -> None:
    """Check the keys of a profile: it cannot choose a profile, since it is read only once it is chosen itself."""
    if "profile" in tree:
        raise SettingsError(
            f"{place}.profile: a profile cannot choose another. Remove the key here; choose with CAPA_PROFILE, or with"
            " `profile` at the top of the file."
        )
    check_sections(tree, place)


def environment_layer(environ: Mapping[str, str], known: Mapping[str, Any]) -> Layer:
    """Return the layer of the `CAPA_<SECTION>__<NAME>__<KEY>` variables.

    A `-` in a logical name of *known* is written `_`; a value that is a JSON list or object is read as one.

    Raises:
        UnknownNameError: A variable begins with `CAPA_` and names no section.
        SettingsError: Of two variables, one holds a value and the other a key below it.
    """
    tree: dict[str, Any] = {}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable in ("CAPA_CONFIG", "CAPA_PROFILE"):
            continue
        section, *rest = variable.removeprefix(PREFIX).lower().split("__")
        if section in OPTIONS and not rest:
            tree[section] = text
        elif section in SECTIONS and rest:
            try:
                _plant(tree, section, rest, _value(text), known.get(section, {}))
            except TypeError:
                raise SettingsError(
                    f"environment: {variable} is a key below a variable that has a value of its own. Unset one of them."
                ) from None
        else:
            raise UnknownNameError(
                f"environment: {variable} is not a setting of Capa.{nearest(section, (*SECTIONS, *OPTIONS, 'profile'))}"
                " Write CAPA_<SECTION>__<NAME>__<KEY>, such as CAPA_STATE__DEFAULT__DRIVER, or unset it."
            )
    return Layer(tree, "environment: {variable}")


def _plant(tree: dict[str, Any], section: str, rest: list[str], value: Any, names: Mapping[str, Any]) -> None:
    spelled = {name.lower().replace("-", "_"): name for name in names}
    *folders, leaf = [spelled.get(rest[0], rest[0]), *rest[1:]]
    branch = tree.setdefault(section, {})
    for part in folders:
        branch = branch.setdefault(part, {})
    branch[leaf] = value


def _value(text: str) -> Any:
    if text[:1] in "[{" and text[-1:] in "]}":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def check_sections(tree: Mapping[str, Any], place: str) -> None:
    """Check that each top-level key is a section or an option.

    Raises:
        UnknownNameError: The message names the key, the place and the nearest match.
        SettingsError: A section is not a table.
    """
    for key, value in tree.items():
        if key not in SECTIONS and key not in OPTIONS:
            raise UnknownNameError(f"{place}: unknown key {key!r}.{nearest(key, (*SECTIONS, *OPTIONS))}")
        if key in SECTIONS and not isinstance(value, Mapping):
            raise SettingsError(f"{place}: {key} must be a table such as [{key}.default].")


def merge(layers: Iterable[Layer]) -> Merged:
    """Return the merged *layers*; later ones win."""
    merged = Merged()
    for layer in layers:
        merged.add(layer)
    return merged
