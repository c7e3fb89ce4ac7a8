"""Reader of `import_map.toml`: checks each key and each name, and returns an `ImportMap`.

The format is described in docs/reference/import-map.md. Adapters are found through the entry-point group
`capa.adapters` and never imported: their table is data.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

from capa_codemods.errors import ImportMapError, did_you_mean
from capa_codemods.sdks.import_map import (
    BlockLine,
    CommandLine,
    Evidence,
    ImportMap,
    NameLine,
    PatchTarget,
    Support,
)

_TABLES = ("sdk", "modules", "names", "settings", "returns", "needs", "commands", "blocks")
_SDK_KEYS = (
    *("name", "package", "extra", "roots", "distributions", "versions", "evidence", "reason", "unserved"),
    *(
        "dependencies",
        "sides",
        "bring",
        "settings_prefix",
        "settings",
        "backlog",
    ),  # the last two: for the adapter alone
)
_NAME_KEYS = NameLine._fields
_SETTING_KEYS = ("name", "keys", "support", "reason", "see", "instead", "changes")
_COMMAND_LISTS = ("options", "values", "without")
_ABILITY = re.compile(r"[a-z_]+\.[a-z_]+")
_CHOICES = {
    "evidence": ("import", "manifest"),
    "support": ("full", "partial", "none"),
    "patch": ("shim", "original"),
}


def read_import_map(path: str) -> ImportMap:
    """Return the import map at *path*.

    Raises:
        ImportMapError: The file cannot be read or breaks the format; the message names the place.
    """
    try:
        with open(path, "rb") as file:
            return _read(file.read(), path)
    except (OSError, ValueError) as error:
        raise ImportMapError(f"{path}: cannot read the import map: {error}") from error


@lru_cache(maxsize=64)
def _read(content: bytes, path: str) -> ImportMap:
    """Return the import map in *content*: one command asks several times, and parsing takes milliseconds."""
    return parse_import_map(tomllib.loads(content.decode()), path)


def parse_import_map(data: Mapping[str, Any], path: str) -> ImportMap:
    """Return the import map that *data* describes; *path* is for messages.

    Raises:
        ImportMapError: A key is missing, unknown or of the wrong type, or two lines contradict each other.
    """
    _refuse_unknown(data, _TABLES, path, "the top level")
    sdk = _table(data, "sdk", path)
    _refuse_unknown(sdk, _SDK_KEYS, path, "[sdk]")
    modules = {
        old: _text(new, path, f"[modules] {old}") for old, new in _table(data, "modules", path).items()
    }
    package = _text(sdk.get("package"), path, "[sdk] package")
    roots = _texts(sdk.get("roots"), path, "[sdk] roots")
    reason = _text(sdk.get("reason", f"there is no {package} yet"), path, "[sdk] reason")
    fallback = "" if modules else reason  # where nothing is served, the reason is the same for every name
    settings = list(_settings(data.get("settings", []), path))
    result = ImportMap(
        path=path,
        name=_text(sdk.get("name"), path, "[sdk] name"),
        package=package,
        extra=_text(sdk.get("extra"), path, "[sdk] extra"),
        roots=roots,
        brings=_brings(sdk.get("distributions"), roots, path),
        versions=_text(sdk.get("versions", "any"), path, "[sdk] versions"),
        evidence=cast("Evidence", _choice(sdk, "evidence", "import", path, "[sdk]")),
        modules=modules,
        names=(*_names(data.get("names", []), path, fallback), *settings),
        returns={old: _text(new, path, f"[returns] {old}") for old, new in data.get("returns", {}).items()},
        needs={
            ability: _texts(names, path, f"[needs] {ability}")
            for ability, names in data.get("needs", {}).items()
        },
        reason=reason,
        commands=tuple(_commands(data.get("commands", []), path)),
        unserved=_texts(sdk["unserved"], path, "[sdk] unserved") if "unserved" in sdk else (),
        settings=dict(_in_modules(sdk, settings, path)),
        sides=_texts(sdk.get("sides", ["capa"]), path, "[sdk] sides"),
        bring=_text(sdk["bring"], path, "[sdk] bring") if "bring" in sdk else "",
        blocks=tuple(_blocks(data.get("blocks", []), path)),
        dependencies=tuple(_table(sdk, "dependencies", path)) if "dependencies" in sdk else (),
    )
    _check_places(result)
    return result


def _brings(value: Any, roots: tuple[str, ...], path: str) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(value, dict) or not value:
        return dict.fromkeys(_texts(value, path, "[sdk] distributions"), roots)
    result = {name: _texts(listed, path, f"[sdk.distributions] {name}") for name, listed in value.items()}
    if differing := {root for listed in result.values() for root in listed}.symmetric_difference(roots):
        raise ImportMapError(
            f"{path}: [sdk.distributions] must bring all of the roots {list(roots)} and no others: "
            f"look at {', '.join(sorted(differing))}"
        )
    return result


def _names(lines: Any, path: str, reason: str) -> Iterator[NameLine]:
    for place, line in _lines(lines, "names", _NAME_KEYS, path):
        support = cast("Support", _choice(line, "support", "full", path, place))
        patch = cast("PatchTarget", _choice(line, "patch", "shim", path, place))
        changes = _changes(line, support, path, place)
        texts = {
            key: _text(line[key], path, f"{place} {key}")
            for key in line
            if key not in _CHOICES and key != "changes"
        }
        if support != "full" and not texts.setdefault("reason", reason):
            raise ImportMapError(
                f"{path}: {place} ({texts['name']}) is {support} without a `reason`: write why"
            )
        yield NameLine(support=support, patch=patch, changes=changes, **texts)


def _settings(lines: Any, path: str) -> Iterator[NameLine]:
    """Yield for each setting its attribute of the settings object and its argument of that object's `update`."""
    for place, line in _lines(lines, "settings", _SETTING_KEYS, path):
        owner, reason = (_text(line.get(key), path, f"{place} {key}") for key in ("name", "reason"))
        support = cast("Support", _choice(line, "support", "none", path, place))
        optional = _optional(line, path, place) | {"changes": _changes(line, support, path, place)}
        for setting in _texts(line.get("keys"), path, f"{place} keys"):
            yield NameLine(f"{owner}.{setting}", support, reason, **optional)
            yield NameLine(f"{owner}.update", support, reason, argument=setting, **optional)


def _in_modules(
    sdk: Mapping[str, Any], settings: Iterable[NameLine], path: str
) -> Iterator[tuple[str, NameLine]]:
    """Yield each of *settings* under its name in a settings module, if the SDK has a prefix for those."""
    if "settings_prefix" in sdk:
        prefix = _text(sdk["settings_prefix"], path, "[sdk] settings_prefix")
        lines = (line for line in settings if line.argument is None)
        yield from ((prefix + line.name.rpartition(".")[2].upper(), line) for line in lines)


def _commands(lines: Any, path: str) -> Iterator[CommandLine]:
    for place, line in _lines(lines, "commands", CommandLine._fields, path):
        support = cast("Support", _choice(line, "support", "none", path, place))
        lists: dict[str, Any] = {
            key: _texts(line[key], path, f"{place} {key}") for key in _COMMAND_LISTS if key in line
        }
        name, reason = (_text(line.get(key), path, f"{place} {key}") for key in ("name", "reason"))
        yield CommandLine(name, support, reason, **_optional(line, path, place), **lists)


def _optional(line: Mapping[str, Any], path: str, place: str) -> dict[str, Any]:
    return {key: _text(line[key], path, f"{place} {key}") for key in ("see", "instead") if key in line}


def _blocks(lines: Any, path: str) -> Iterator[BlockLine]:
    for place, line in _lines(lines, "blocks", BlockLine._fields, path):
        block, name, keeps = (
            _text(line.get(key), path, f"{place} {key}") for key in ("block", "name", "keeps")
        )
        yield BlockLine(block, name, keeps, _truth(line, "shared", path, place))


def _lines(
    lines: Any, key: str, known: tuple[str, ...], path: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the tables of the array *key*, each with its place for messages."""
    if not isinstance(lines, list):
        raise ImportMapError(f"{path}: `{key}` must be an array of tables: write [[{key}]]")
    for number, line in enumerate(lines, 1):
        place = f"[[{key}]] number {number}"
        if not isinstance(line, dict):
            raise ImportMapError(f"{path}: {place} must be a table: write [[{key}]]")
        _refuse_unknown(line, known, path, place)
        if "name" not in line:
            raise ImportMapError(f"{path}: {place} has no `name`: write the old dotted name")
        yield place, line


def _check_places(result: ImportMap) -> None:
    for place, name in _places(result):
        if re.split(r"[.(]", name)[0] not in result.roots:
            raise ImportMapError(
                f"{result.path}: {place} {name} is under none of the roots {list(result.roots)}"
            )
    for old, new in result.modules.items():
        if new.partition(".")[0] != result.package:
            raise ImportMapError(f"{result.path}: [modules] {old} goes to {new}, outside {result.package}")
        if outer := next((one for one in result.unserved if f"{old}.".startswith(f"{one}.")), None):
            raise ImportMapError(f"{result.path}: [modules] {old} is in {outer}, which is listed as unserved")
    for ability in result.needs:
        if not _ABILITY.fullmatch(ability):
            raise ImportMapError(
                f"{result.path}: [needs] {ability} is no `block.ability`, such as pubsub.delay"
            )


def _places(result: ImportMap) -> Iterator[tuple[str, str]]:
    """Yield the old names of the map, each after its place in the file."""
    yield from (("[sdk] unserved", old) for old in result.unserved)
    yield from (("[modules]", old) for old in result.modules)
    yield from (("[[names]]", line.name) for line in result.names)
    for ability, names in result.needs.items():
        yield from ((f"[needs] {ability}:", name) for name in names)


def _refuse_unknown(table: Mapping[str, Any], known: tuple[str, ...], path: str, place: str) -> None:
    for key in table:
        if key not in known:
            hint = did_you_mean(key, known, f"known are {', '.join(known)}")
            raise ImportMapError(f"{path}: {place} has an unknown key `{key}`: {hint}")


def _table(data: Mapping[str, Any], key: str, path: str) -> Mapping[str, Any]:
    value = data.get(key)
    if not isinstance(value, dict):
        raise ImportMapError(f"{path}: the table [{key}] is missing: add it")
    return value


def _text(value: Any, path: str, place: str) -> str:
    if not isinstance(value, str) or not value:
        raise ImportMapError(f"{path}: {place} must be a string that is not empty, not {value!r}")
    return value


def _texts(value: Any, path: str, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ImportMapError(f"{path}: {place} must be a list of strings that is not empty, not {value!r}")
    return tuple(_text(item, path, place) for item in value)


def _changes(line: Mapping[str, Any], support: Support, path: str, place: str) -> bool:
    changes = _truth(line, "changes", path, place)
    if changes and support != "partial":
        raise ImportMapError(f"{path}: {place} ({line['name']}) is {support}: only what is partial `changes`")
    return changes


def _truth(table: Mapping[str, Any], key: str, path: str, place: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise ImportMapError(f"{path}: {place} {key} must be true or false")
    return value


def _choice(table: Mapping[str, Any], key: str, default: str, path: str, place: str) -> str:
    value = table.get(key, default)
    if value not in _CHOICES[key]:
        raise ImportMapError(
            f"{path}: {place} {key} must be one of {', '.join(_CHOICES[key])}, not {value!r}"
        )
    return str(value)
