"""`capa scan`."""

from __future__ import annotations

from capa_migration.cli import CLEAN, FAILED
from capa_migration.cli.arguments import Parser
from capa_migration.cli.table import print_table
from capa_migration.scan.sites import Site, Survey, shapes, sums
from capa_migration.target import Options

_EXAMPLES = """\
examples:
  capa scan .                 the numbers, and every place that Capa does not serve in full
  capa scan . --all           every place
  capa scan . --json > scan.json

exit codes: 0 done; 2 some files could not be read; 3 wrong usage
"""
_SHOWN_SHAPES = 20
_COMMANDS = dict.fromkeys(("", "worker", "beat"), "starts the migrated application as it is")
_OTHER_COMMAND = "is the original's command: try it on the migrated application"


def run(words: list[str]) -> int:
    """Run `capa scan` with *words* and return its exit code."""
    parser = Parser(
        prog="capa scan", description="Show which SDKs a project uses, where and how.", epilog=_EXAMPLES
    )
    parser.add_argument(
        "path", nargs="?", default=".", metavar="PATH", help="a folder or a file; here by default"
    )
    parser.add_argument(
        "--all", action="store_true", help="list every place, not only those not served in full"
    )
    parser.add_argument("--json", action="store_true", help="print data instead of text")
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="PATH", help="leave this folder or file out"
    )
    arguments = parser.parse_args(words)
    found = _survey(arguments.path, tuple(arguments.exclude))
    if arguments.json:
        _print_json(found)
    else:
        _print_text(found, arguments.path, everything=arguments.all)
    return FAILED if found.unread else CLEAN


def _survey(path: str, exclude: tuple[str, ...]) -> Survey:
    from capa_migration.cli.terminal import ProgressLine
    from capa_migration.scan.survey import survey

    progress = ProgressLine()
    try:
        return survey(path, Options(exclude=exclude), progress)
    finally:
        progress.close()


def _print_text(found: Survey, path: str, *, everything: bool) -> None:
    if not found.sites and not found.unread and not found.moved:
        print(f"no SDK is used in {found.seen:,} Python files")
        return
    print_table(
        ["SDK", "files", "imports", "calls and uses", "full", "partial", "none", "moved"],
        [
            [f"{value:,}" if isinstance(value, int) else value for value in line]
            for line in sums(found.sites, found.moved)
        ],
    )
    print()
    counted = shapes(found.sites).most_common()
    print_table(
        ["calls and uses", ""], [[name, f"{number:,}"] for (_, name), number in counted[:_SHOWN_SHAPES]]
    )
    if len(counted) > _SHOWN_SHAPES:
        print(f"… and {len(counted) - _SHOWN_SHAPES:,} more shapes (--json holds them)")
    shown = [site for site in found.sites if everything or site.support != "full"]
    if shown:
        print()
    for site in shown:
        why = (f": {site.reason}" if site.reason else "") + (f" (see {site.see})" if site.see else "")
        print(f"{site.path}:{site.line}: {_said(site)}: {site.support}{why}")
    if found.commands:
        print()
    for command in found.commands:
        what = _COMMANDS.get(command.subcommand, _OTHER_COMMAND)
        print(f"{command.path}:{command.line}: {command.text}: {what}")
    for file in found.unread:
        place = f"{file.path}:{file.line}" if file.line else file.path
        print(f"{place}: failed: {file.reason}. Next: {file.next_step}.")
    print(f"\nNext: `capa migrate diff {path}` shows what the rewrite would change.")


def _said(site: Site) -> str:
    if site.kind == "import":
        return f"import of {site.name}"
    if site.kind == "use":
        return site.name
    given = [argument if argument.startswith("*") else f"{argument}=" for argument in site.arguments]
    return f"{site.name}({', '.join(given)})"


def _print_json(found: Survey) -> None:
    import json

    from capa_migration.report import SCHEMA

    data = {
        "schema": SCHEMA,
        "root": found.root,
        "seen": found.seen,
        "sdks": [line._asdict() for line in sums(found.sites, found.moved)],
        "shapes": [
            {"sdk": sdk, "name": name, "count": number}
            for (sdk, name), number in shapes(found.sites).most_common()
        ],
        "sites": [site._asdict() for site in found.sites],
        "moved": [site._asdict() for site in found.moved],
        "commands": [command._asdict() for command in found.commands],
        "unread": [file._asdict() for file in found.unread],
    }
    print(json.dumps(data, indent=2))
