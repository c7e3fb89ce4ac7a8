"""`capa doctor`: the component behind each block, its setting, and whether it answers."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from capa_migration.cli import CLEAN, FAILED, USAGE
from capa_migration.cli.arguments import Parser
from capa_migration.cli.doctor_adapters import adapters_of, print_adapters, serves, tables_of_adapters
from capa_migration.cli.doctor_paths import relative_to_here

if TYPE_CHECKING:
    from collections.abc import Collection

    from capa_core import Runtime
    from capa_core.runtime import ComponentReport
    from capa_migration.live.queues import Survey

_EXAMPLES = """\
examples:
  capa doctor                        the profile that CAPA_PROFILE names, or the default
  capa doctor --profile production
  capa doctor --require celery       before a worker or a beat starts: all that they need must be served
  capa doctor --queues               topics, groups, depth, age of the oldest message, dead letters too
  capa doctor --json

Run it in the folder where the application starts: capa.toml is searched from there.
An adapter is in use if its SDK is installed, and it or a block that it needs has a table in any profile. Sources are
not read: --require says so where no table does.
exit codes: 0 every component answers; 2 one does not or has wrong settings, an adapter cannot serve as it is set,
keeps on each machine what all must share or is in use without an engine for a block that it needs, a program found
configuration without values, or programs get one of the errors that are listed last; 3 capa.toml, or the table of an
adapter in it, is wrong
"""


def parser() -> Parser:
    """Return the parser of `capa doctor`."""
    from importlib.metadata import entry_points

    description = "Show the component behind each block, the setting that chose it, and whether it answers."
    parser = Parser(prog="capa doctor", description=description, epilog=_EXAMPLES)
    parser.add_argument("--profile", metavar="NAME", help="the profile of capa.toml")
    parser.add_argument("--queues", action="store_true", help="list the topics of each pub/sub component too")
    parser.add_argument(
        "--require",
        action="append",
        default=[],
        choices=sorted(entry_points(group="capa.adapters").names),
        metavar="SDK",
        help="fail if the adapter of SDK, or a block that it needs, is not served; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print data instead of text")
    return parser


def run(words: list[str]) -> int:
    """Run `capa doctor` with *words* and return its exit code."""
    arguments = parser().parse_args(words)
    from capa_core import CapaError, Runtime
    from capa_core.errors import SettingsError

    try:
        with Runtime(profile=arguments.profile, reports=False) as runtime:
            found = _examine(runtime, arguments.require)
            surveys = _surveys(runtime, found["components"]) if arguments.queues else []
    except SettingsError as error:
        return _refuse(error, USAGE)
    except CapaError as error:
        return _refuse(error, FAILED)
    served = all(map(serves, found["adapters"]))
    answers = all(row["answers"] for row in found["components"])
    code = CLEAN if answers and served and not found["unread"] and not found["problems"] else FAILED
    if arguments.json:
        from capa_migration.cli.output import print_json

        queues = {"queues": [survey.as_data() for survey in surveys]} if arguments.queues else {}
        return print_json({**found, **queues}, code)
    _print_text(found)
    _print_queues(surveys)
    return code


def _examine(runtime: Runtime, required: Collection[str]) -> dict[str, Any]:
    """Return components with their answers, adapters with their originals, groups without values, and other errors."""
    from capa_core.block import block_names
    from capa_core.runtime import problems, table_to_add
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
    unserved = block_names() - {row["block"] for row in components}
    return {
        "settings": str(file) if file else None,
        "components": components,
        "unserved": sorted(unserved),
        "lines_to_add": {block: table_to_add(runtime.loaded, block) for block in sorted(unserved)},
        "adapters": adapters_of(runtime, required),
        "unread": [asdict(one) for one in unread(runtime)],
        "problems": [each for each in problems(runtime, answering, tables_of_adapters()) if each not in said],
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
    try:
        return [{**asdict(risk), "said": str(risk)} for risk in component.risks()]
    except Exception as error:  # noqa: BLE001 - as `ComponentReport.answer`
        return [{"said": f"unknown: {error}"}]


def _holdings(component: Any) -> str:
    try:
        return str(component.summary())
    except Exception as error:  # noqa: BLE001 - as `ComponentReport.answer`
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


def _print_text(found: dict[str, Any]) -> None:
    settings = found["settings"] or "no capa.toml here or above: the embedded default serves everything"
    print(f"settings: {relative_to_here(settings)}\n")
    _print_components(found["components"])
    if found["unserved"]:
        print(
            f"without an engine: {', '.join(found['unserved'])}. A program that uses one of them fails."
            f" Add to {relative_to_here(found['settings'] or 'capa.toml')} those that yours use:\n"
        )
        for lines in found["lines_to_add"].values():
            print(f"{lines}\n")
    _print_abilities(found["components"])
    _print_risks(found["components"])
    print_adapters(found["adapters"])
    _print_unread(found["unread"])
    for problem in found["problems"]:
        print(f"\nERROR that programs get: {relative_to_here(problem)}")
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
            relative_to_here(row["origin"]),
            "yes" if row["answers"] else "NO",
            relative_to_here(row["said"]),
        ]
        for row in components
    ]
    for line in columns(["block", "name", "driver", "chosen by", "answers", ""], rows, right=False):
        print(line)
    print()


def _print_unread(groups: list[dict[str, Any]]) -> None:
    from capa_core.blocks.configuration import Scope

    if groups:
        print(
            "\nconfiguration that programs asked for and that has no values, so that they may serve defaults:"
        )
    for one in groups:
        scope = Scope(one["application"], one["group"], one["label"])
        print(f"  group {scope} in component {one['component']}: {relative_to_here(one['searched'])}")
        print(f"    Next: `{one['next_step']}`")


def _as_number(value: float) -> str:
    return f"{int(value) if float(value).is_integer() else value:,}"


def _print_abilities(components: list[dict[str, Any]]) -> None:
    from capa_migration.rewrite.formats._columns import columns

    rows = [
        [
            row["block"],
            row["name"],
            row["holds"] or "-",
            ", ".join(row["native"]) or "-",
            ", ".join(f"{name} {_as_number(value)}" for name, value in row["limits"].items()) or "-",
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


def _refuse(error: Exception, code: int) -> int:
    print(f"capa doctor: {error}", file=sys.stderr)
    return code
