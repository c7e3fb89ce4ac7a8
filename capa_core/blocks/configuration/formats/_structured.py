"""JSON, TOML and YAML text, with errors that name the file and the line."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from capa_core.blocks.configuration.formats._tree import flatten
from capa_core.errors import MissingExtraError, SettingsError
from capa_core.installing import extra_command

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
    """Yield the documents of the text: one of JSON or TOML, each one of YAML."""
    try:
        if suffix in (".json", ".toml"):
            yield _loaded(text, suffix, source)
        else:
            yield from _yaml(text, source)
    except json.JSONDecodeError as error:
        raise _malformed(source, error.lineno, f"{error.msg} (column {error.colno})") from error
    except tomllib.TOMLDecodeError as error:
        line = _TOML_LINE.search(str(error))
        raise _malformed(source, int(line[1]) if line else text.count("\n") + 1, str(error)) from error
    except RecursionError:
        raise SettingsError(f"{source}: nested too deeply") from None


def _loaded(text: str, suffix: str, source: str) -> Any:
    try:
        if suffix == ".toml":
            return tomllib.loads(text)
        return json.loads(text) if text.strip() else {}
    except (json.JSONDecodeError, tomllib.TOMLDecodeError):
        raise
    except ValueError as error:
        raise SettingsError(
            f"{source}: a number has too many digits. Correct the file; until then its values are not used."
        ) from error


def _yaml(text: str, source: str) -> Iterator[Any]:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError(f"{source} needs PyYAML. Run: {extra_command('yaml')}") from error
    try:
        yield from yaml.safe_load_all(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or "not YAML"
        if not isinstance(
            error, yaml.scanner.ScannerError | yaml.parser.ParserError
        ):  # those name signs alone
            problem = _unquoted(problem)
        # Not chained: its text shows the line, which may hold a secret.
        raise _malformed(source, mark.line + 1 if mark else 1, problem) from None
    except (yaml.YAMLError, ValueError) as error:
        raise _malformed(source, 1, _unquoted(str(error))) from None


def _unquoted(problem: str) -> str:
    """Return the part of the text of an error before it quotes the content."""
    return problem.partition("'")[0].strip(" :")


def _malformed(source: str, line: int, problem: str) -> SettingsError:
    return SettingsError(f"{source}:{line}: {problem}. Correct the file; until then its values are not used.")
