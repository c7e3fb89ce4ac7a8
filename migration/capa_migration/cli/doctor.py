"""`capa doctor`."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

from capa_migration.cli import CLEAN, FAILED, USAGE
from capa_migration.cli.arguments import Parser

if TYPE_CHECKING:
    from capa_core import Runtime

_ABSOLUTE = re.compile(r"(?<![\w.:/-])/[^\s:,;()]+")

_EXAMPLES = """\
examples:
  capa doctor                        the profile that CAPA_PROFILE names, or the default
  capa doctor --profile production
  capa doctor --json

Read in the folder where the application starts: capa.toml is looked for there.
exit codes: 0 every component answers; 2 one does not, its own settings are wrong, or an adapter lacks its side;
3 capa.toml is wrong
"""


def parser() -> Parser:
    """Return the parser of `capa doctor`."""
    says = "Show which component serves what, which setting chose it, and whether it answers."
    parser = Parser(prog="capa doctor", description=says, epilog=_EXAMPLES)
    parser.add_argument("--profile", metavar="NAME", help="the profile of capa.toml to look at")
    parser.add_argument("--json", action="store_true", help="print data instead of text")
    return parser


def run(words: list[str]) -> int:
    """Run `capa doctor` with *words* and return its exit code."""
    arguments = parser().parse_args(words)
    from capa_core import CapaError, Runtime
    from capa_core.errors import SettingsError

    try:
        with Runtime(profile=arguments.profile) as runtime:
            found = _examine(runtime)
    except SettingsError as error:
        return _refuse(error, USAGE)
    except CapaError as error:
        return _refuse(error, FAILED)
    served = (one["available"] for one in found["adapters"])
    code = CLEAN if all(row["answers"] for row in found["components"]) and all(served) else FAILED
    if arguments.json:
        _print_json({**found, "exit": code})
    else:
        _print_text(found)
    return code


def _examine(runtime: Runtime) -> dict[str, Any]:
    """Return what serves what, with an answer from each component, and which originals are installed."""
    components = []
    for row in runtime.report():
        answers, line = row.answer(runtime)
        components.append(
            {
                "block": row.block,
                "name": row.name,
                "driver": row.driver,
                "origin": row.origin,
                "legacy": list(row.legacy),
                "answers": answers,
                "said": line,
            }
        )
    file = runtime.loaded.file
    return {"settings": str(file) if file else None, "components": components, "adapters": _adapters(runtime)}


def _adapters(runtime: Runtime) -> list[dict[str, Any]]:
    """Return the installed adapters, each with the installed version of its original and the side that serves it."""
    from capa_codemods.api import import_map_paths, read_import_map

    tables = runtime.loaded.settings.adapters
    return [
        {
            "sdk": one.name,
            "adapter": one.package,
            "supported": one.versions,
            "installed": _version(one.distributions),
            "side": (side := str(tables.get(one.name, {}).get("side", "capa"))),
            "available": side in one.sides,
            "origin": runtime.loaded.origin("adapters", one.name, "side"),
        }
        for one in map(read_import_map, import_map_paths())
    ]


def _version(distributions: tuple[str, ...]) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    for name in distributions:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return None


def _print_text(found: dict[str, Any]) -> None:
    from capa_migration.formats._columns import columns

    settings = found["settings"] or "no capa.toml here or above: the embedded default serves everything"
    print(f"settings: {_seen_from_here(settings)}\n")
    rows = [
        [
            row["block"],
            row["name"],
            row["driver"],
            _seen_from_here(row["origin"]),
            "yes" if row["answers"] else "NO",
            _seen_from_here(row["said"]),
        ]
        for row in found["components"]
    ]
    for line in columns(["block", "name", "driver", "chosen by", "answers", ""], rows, right=False):
        print(line)
    print()
    originals = [
        [
            one["adapter"],
            one["installed"] or "-",
            one["supported"],
            one["side"] if one["available"] else f"{one['side']}: NOT AVAILABLE",
            _seen_from_here(one["origin"]),
        ]
        for one in found["adapters"]
    ]
    heads = ["adapter", "original installed", "supported", "side", "chosen by"]
    for line in columns(heads, originals, right=False):
        print(line)
    silent = [f"{row['block']} {row['name']}" for row in found["components"] if not row["answers"]]
    if silent:
        print(
            f"\nNext: mend what does not answer ({', '.join(silent)}): start its engine, or correct its settings."
        )


def _seen_from_here(text: str) -> str:
    """Return *text* with each absolute path in it relative to the current folder, where that is shorter."""
    return _ABSOLUTE.sub(lambda found: min(found[0], os.path.relpath(found[0]), key=len), text)


def _print_json(data: dict[str, Any]) -> None:
    import json

    print(json.dumps(data, indent=2))


def _refuse(error: Exception, code: int) -> int:
    print(f"capa doctor: {error}", file=sys.stderr)
    return code
