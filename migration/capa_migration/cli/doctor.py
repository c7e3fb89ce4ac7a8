"""`capa doctor`: the component behind each block, its setting, and whether it answers."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from capa_migration.cli import CLEAN, FAILED, USAGE
from capa_migration.cli.arguments import Parser

if TYPE_CHECKING:
    from pydantic import BaseModel

    from capa_codemods.api import ImportMap
    from capa_core import Runtime
    from capa_core.runtime import ComponentReport
    from capa_migration.live.queues import Survey

_ABSOLUTE = re.compile(r"(?<![\w.:/-])/[^\s:,;()]+")

_EXAMPLES = """\
examples:
  capa doctor                        the profile that CAPA_PROFILE names, or the default
  capa doctor --profile production
  capa doctor --queues               topics, groups, depth, age of the oldest message, dead letters too
  capa doctor --json

Run it in the folder where the application starts: capa.toml is searched from there.
exit codes: 0 every component answers; 2 one does not or has wrong settings, an adapter cannot serve as it is set or
keeps on each machine what all must share, a program found configuration without values, or programs get one of the
errors that are listed last; 3 capa.toml, or the table of an adapter in it, is wrong
"""


def parser() -> Parser:
    """Return the parser of `capa doctor`."""
    description = "Show the component behind each block, the setting that chose it, and whether it answers."
    parser = Parser(prog="capa doctor", description=description, epilog=_EXAMPLES)
    parser.add_argument("--profile", metavar="NAME", help="the profile of capa.toml")
    parser.add_argument("--queues", action="store_true", help="list the topics of each pub/sub component too")
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
            surveys = _surveys(runtime, found["components"]) if arguments.queues else []
    except SettingsError as error:
        return _refuse(error, USAGE)
    except CapaError as error:
        return _refuse(error, FAILED)
    served = (one["available"] and not one["problem"] for one in found["adapters"])
    answers = all(row["answers"] for row in found["components"])
    scattered = any(one["scattered"] for one in found["adapters"])
    failed = scattered or found["unread"] or found["problems"]
    code = CLEAN if answers and all(served) and not failed else FAILED
    if arguments.json:
        from capa_migration.cli.output import print_json

        queues = {"queues": [survey.as_data() for survey in surveys]} if arguments.queues else {}
        return print_json({**found, **queues}, code)
    _print_text(found)
    _print_queues(surveys)
    return code


def _examine(runtime: Runtime) -> dict[str, Any]:
    """Return components with their answers, adapters with their originals, groups without values, and other errors."""
    from capa_core.block import block_names
    from capa_core.runtime import problems
    from capa_core.shims.unread import unread

    components, answering = [], []
    for row in runtime.report():
        answers, line = row.answer(runtime)
        if answers:
            answering.append(row)
        components.append(
            {
                "block": row.block,
                "name": row.name,
                "driver": row.driver,
                "origin": row.origin,
                "legacy": list(row.legacy),
                "answers": answers,
                "said": line,
                **(_abilities(runtime, row) if answers else {}),
            }
        )
    file = runtime.loaded.file
    said = {row["said"] for row in components}
    return {
        "settings": str(file) if file else None,
        "components": components,
        "unserved": sorted(block_names() - {row["block"] for row in components}),
        "adapters": _adapters(runtime),
        "unread": [asdict(one) for one in unread(runtime)],
        "problems": [
            each for each in problems(runtime, answering, _tables_of_adapters()) if each not in said
        ],
    }


def _abilities(runtime: Runtime, row: ComponentReport) -> dict[str, Any]:
    """Return native types, limits and holdings of a component that answers; nothing for one that is built by name."""
    component = row.component(runtime)
    if component is None:
        return {}
    return {
        "native": [f"{kind.__module__}.{kind.__qualname__}" for kind in component.native_types],
        "limits": {name: value for name, value in asdict(component.limits).items() if value is not None},
        "holds": _holdings(component),
        "risks": _risks(component),
    }


def _risks(component: Any) -> list[dict[str, str]]:
    """Return what the engine would lose with the settings that it has now; nothing if they cannot be read."""
    from capa_core import CapaError

    try:
        return [{**asdict(risk), "said": str(risk)} for risk in component.risks()]
    except CapaError as error:
        return [{"said": f"unknown: {error}"}]


def _holdings(component: Any) -> str:
    from capa_core import CapaError

    try:
        return str(component.summary())
    except CapaError as error:
        return f"unknown: {error}"


def _surveys(runtime: Runtime, components: list[dict[str, Any]]) -> list[Survey]:
    from capa_core.blocks.pubsub import PubSubFeature
    from capa_migration.live.queues import survey

    names = [row["name"] for row in components if row["block"] == "pubsub" and row["answers"]]
    surveys = []
    for pubsub in map(runtime.pubsub, names):
        if support := pubsub.features[PubSubFeature.INSPECT]:
            surveys.append(survey(pubsub))
        else:
            print(f"queues of pubsub {pubsub.name} cannot be listed: {support.note}", file=sys.stderr)
    return surveys


def _adapters(runtime: Runtime) -> list[dict[str, Any]]:
    """Return the installed adapters, each with the installed version of its original and the side that serves it."""
    from capa_codemods.api import import_map_paths, read_import_map

    return [_adapter(runtime, one) for one in map(read_import_map, import_map_paths())]


def _adapter(runtime: Runtime, one: ImportMap) -> dict[str, Any]:
    table = runtime.loaded.settings.adapters.get(one.name)
    side = str((table or {}).get("side", "capa"))
    installed = _version(one.distributions)
    return {
        "sdk": one.name,
        "adapter": one.package,
        "supported": one.versions,
        "installed": installed,
        "side": side,
        "available": side in one.sides,
        "origin": runtime.loaded.merged.origins.get(("adapters", one.name, "side"), "default"),
        "scattered": _scattered(runtime, one) if installed and side == "capa" else [],
        "problem": None if table is None else _problem(runtime, one.package, is_installed=bool(installed)),
    }


def _tables_of_adapters() -> dict[str, type[BaseModel]]:
    """Return the models of the tables of those adapters whose originals are installed, by the name of the table."""
    from capa_codemods.api import import_map_paths, read_import_map
    from capa_core.errors import MissingExtraError
    from capa_core.shims.settings import settings_type

    found: dict[str, type[BaseModel]] = {}
    for one in map(read_import_map, import_map_paths()):
        with suppress(MissingExtraError):
            found[one.name] = settings_type(one.package)
    return found


def _scattered(runtime: Runtime, one: ImportMap) -> list[dict[str, Any]]:
    """Return the data of an adapter that its machines must share, and do not while its other data is on a server."""
    from capa_core.runtime import Need

    needs = [Need(line.block, line.name, line.keeps, line.shared) for line in one.blocks]
    return [
        {"block": each.need.block, "name": each.need.name, "driver": each.place, "problem": str(each)}
        for each in runtime.scattered(needs)
    ]


def _problem(runtime: Runtime, package: str, *, is_installed: bool) -> str | None:
    """Return the error that the first call of an adapter would raise; wrong settings raise it here."""
    from capa_core.errors import MissingExtraError, UnsupportedError
    from capa_core.shims.settings import check_adapter

    try:
        check_adapter(runtime, package)
    except UnsupportedError as error:
        return str(error)
    except MissingExtraError as error:
        # No program here uses an adapter without its original: the column of installed versions shows it.
        return str(error) if is_installed else None
    return None


def _version(distributions: tuple[str, ...]) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    for name in distributions:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return None


def _print_text(found: dict[str, Any]) -> None:
    settings = found["settings"] or "no capa.toml here or above: the embedded default serves everything"
    print(f"settings: {_relative_to_here(settings)}\n")
    _print_components(found["components"])
    if found["unserved"]:
        print(
            f"without an engine: {', '.join(found['unserved'])}. A program that uses one of them fails,"
            " and names the lines to add.\n"
        )
    _print_abilities(found["components"])
    _print_risks(found["components"])
    _print_adapters(found["adapters"])
    _print_unread(found["unread"])
    for problem in found["problems"]:
        print(f"\nERROR that programs get: {_relative_to_here(problem)}")
    silent = [f"{row['block']} {row['name']}" for row in found["components"] if not row["answers"]]
    if silent:
        print(
            f"\nNext: start the engine of each component that does not answer ({', '.join(silent)}), "
            f"or correct its settings."
        )


def _print_components(components: list[dict[str, Any]]) -> None:
    from capa_migration.rewrite.formats._columns import columns

    rows = [
        [
            row["block"],
            row["name"],
            row["driver"],
            _relative_to_here(row["origin"]),
            "yes" if row["answers"] else "NO",
            _relative_to_here(row["said"]),
        ]
        for row in components
    ]
    for line in columns(["block", "name", "driver", "chosen by", "answers", ""], rows, right=False):
        print(line)
    print()


def _print_adapters(adapters: list[dict[str, Any]]) -> None:
    from capa_migration.rewrite.formats._columns import columns

    rows = [
        [
            one["adapter"],
            one["installed"] or "-",
            one["supported"],
            one["side"] if one["available"] else f"{one['side']}: NOT AVAILABLE",
            _relative_to_here(one["origin"]),
        ]
        for one in adapters
    ]
    heads = ["adapter", "original installed", "supported", "side", "chosen by"]
    for line in columns(heads, rows, right=False):
        print(line)
    scattered = [each["problem"] for one in adapters for each in one["scattered"]]
    for problem in (*filter(None, (one["problem"] for one in adapters)), *scattered):
        print(f"\n{_relative_to_here(problem)}")


def _print_unread(groups: list[dict[str, Any]]) -> None:
    from capa_core.blocks.configuration import Scope

    if groups:
        print(
            "\nconfiguration that programs asked for and that has no values, so that they may serve defaults:"
        )
    for one in groups:
        scope = Scope(one["application"], one["group"], one["label"])
        print(f"  group {scope} in component {one['component']}: {_relative_to_here(one['searched'])}")
        print(f"    Next: `{one['next_step']}`")


def _print_abilities(components: list[dict[str, Any]]) -> None:
    from capa_migration.rewrite.formats._columns import columns

    rows = [
        [
            row["block"],
            row["name"],
            row["holds"] or "-",
            ", ".join(row["native"]) or "-",
            ", ".join(f"{name} {value:,}" for name, value in row["limits"].items()) or "-",
        ]
        for row in components
        if "limits" in row
    ]
    if rows:
        for line in columns(["block", "name", "holds", "native client", "limits"], rows, right=False):
            print(line)
        print()


def _print_risks(components: list[dict[str, Any]]) -> None:
    by_text: dict[str, list[str]] = {}
    for row in components:
        for risk in row.get("risks", ()):
            by_text.setdefault(risk["said"], []).append(f"{row['block']} {row['name']}")
    if by_text:
        print("what the engines would lose, as they are set now:")
        for said, names in by_text.items():
            print(f"  {', '.join(names)}: {said}")
        print()


def _print_queues(surveys: list[Survey]) -> None:
    from capa_migration.cli.queue_view import shown, topic_lines

    for found in surveys:
        print(f"\nqueues of pubsub {shown(found.component)}:")
        for line in topic_lines(found):
            print(line)


def _relative_to_here(text: str) -> str:
    """Return *text* with each absolute path in it relative to the current folder, where that is shorter."""
    return _ABSOLUTE.sub(lambda found: min(found[0], os.path.relpath(found[0]), key=len), text)


def _refuse(error: Exception, code: int) -> int:
    print(f"capa doctor: {error}", file=sys.stderr)
    return code
