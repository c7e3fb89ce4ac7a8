"""JSON, TOML and YAML text, with errors that name the file and the line."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from capa_core.blocks.configuration.formats._tree import flatten
from capa_core.errors import MissingExtraError, SettingsError

_TOML_LINE = re.compile(r"at line (\d+)")


def items(text: str, suffix: str, source: str) -> dict[str, str]:
    """Return the flat items of a document; of several YAML documents in one text, the later values.

    Raises:
        SettingsError: The text is malformed; the message names *source* and the line.
        MissingExtraError: It is YAML and PyYAML is not installed.
    """
    flat: dict[str, str] = {}
    for tree in trees(text, suffix, source):
        flat.update(flatten(tree, source))
    return flat


def trees(text: str, suffix: str, source: str) -> Iterator[Any]:
    """Yield what the text holds: once for JSON and TOML, once for each document of YAML."""
    try:
        if suffix == ".json":
            yield json.loads(text) if text.strip() else {}
        elif suffix == ".toml":
            yield tomllib.loads(text)
        else:
            yield from _yaml(text, source)
    except json.JSONDecodeError as error:
        raise _malformed(source, error.lineno, f"{error.msg} (column {error.colno})") from error
    except tomllib.TOMLDecodeError as error:
        line = _TOML_LINE.search(str(error))
        raise _malformed(source, int(line[1]) if line else text.count("\n") + 1, str(error)) from error
    except RecursionError:
        raise SettingsError(f"{source}: nested too deeply") from None


def _yaml(text: str, source: str) -> Iterator[Any]:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError(
            f"{source} needs PyYAML. Install it: pip install 'capa-core[yaml]'"
        ) from error
    try:
        yield from yaml.safe_load_all(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _malformed(source, mark.line + 1 if mark else 1, error.problem or "not YAML") from error
    except (yaml.YAMLError, ValueError) as error:
        raise _malformed(source, 1, str(error)) from error


def _malformed(source: str, line: int, what: str) -> SettingsError:
    return SettingsError(f"{source}:{line}: {what}. Mend the file; until then nothing of it is used.")
