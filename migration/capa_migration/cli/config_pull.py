"""`capa config pull`: bring the values of an Apollo server into files that Capa reads."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capa_migration.cli import CLEAN, FAILED, USAGE, WOULD_CHANGE
from capa_migration.cli.output import output_of, print_json
from capa_migration.errors import OptionsError

if TYPE_CHECKING:
    from capa_migration.live.pull import Origin, PulledNamespace

_EXAMPLES = """\
examples:
  capa config pull --from-apollo http://apollo:8080 --app-id shop
  capa config pull --from-apollo http://apollo:8080 --app-id shop --namespace application --namespace limits.json
  capa config pull --from-apollo http://meta:8080 --meta --app-id shop --cluster blue --to config

Run it in the folder of capa.toml. Files are written below --to as <appId>/<namespace>, or <appId>/<cluster>/<namespace>
for another cluster than `default`. All namespaces are read before a file is written.
exit codes: 0 done, or nothing to change; 1 a file there says something else: the difference was printed, nothing was
written; 2 the server does not answer, refuses the access key, or lacks a namespace; 3 wrong usage
"""


def add_action(actions: Any) -> None:
    """Add the action to the parser of `capa config`."""
    from capa_migration.live.pull import SECRET

    summary = "write the namespaces of an Apollo server into files that Capa reads"
    pull = actions.add_parser(
        "pull", help=summary, description=f"{summary[0].upper()}{summary[1:]}.", epilog=_EXAMPLES
    )
    pull.set_defaults(run=run)
    add = pull.add_argument
    add("--from-apollo", metavar="URL", required=True, help="the address of a config service")
    add("--meta", action="store_true", help="the address is that of a meta server")
    add("--app-id", metavar="APP", required=True, help="the application")
    add("--cluster", metavar="NAME", default="default", help="the cluster; `default` if not given")
    add(
        "--namespace",
        metavar="NAME",
        action="append",
        help="a namespace, with its suffix if it is a document; may be repeated; `application` if not given",
    )
    add("--secret", metavar="KEY", help=f"the access key of the application; better in the variable {SECRET}")
    add("--to", metavar="FOLDER", help="the folder; that of the file component in capa.toml if not given")
    add("--force", action="store_true", help="replace files that say something else")
    add("--json", action="store_true", help="print data instead of text")


def run(arguments: argparse.Namespace) -> int:
    """Bring the namespaces that *arguments* name, and return the exit code."""
    from capa_core import CapaError
    from capa_core.errors import InvalidArgumentError
    from capa_migration.live.pull import SECRET, Origin

    origin = Origin(
        url=arguments.from_apollo,
        app_id=arguments.app_id,
        cluster=arguments.cluster,
        secret=arguments.secret or os.environ.get(SECRET, ""),
        is_meta=arguments.meta,
    )
    try:
        folder, found = _read(origin, arguments)
    except InvalidArgumentError as error:
        return _refuse(error, "nothing was written", USAGE)
    except CapaError as error:
        return _refuse(error, "nothing was written", FAILED)
    try:
        return _write(origin, arguments, folder, found)
    except CapaError as error:
        return _refuse(error, "each file is as before, or whole: run it again", FAILED)


def _read(origin: Origin, arguments: argparse.Namespace) -> tuple[Path, list[PulledNamespace]]:
    """Return the folder to write to, and the namespaces as the server has them."""
    from capa_migration.cli.terminal import ProgressLine
    from capa_migration.live.pull import pull

    folder = Path(arguments.to) if arguments.to else _folder()
    names = list(dict.fromkeys(arguments.namespace or ["application"]))
    with ProgressLine("namespaces") as progress:
        return folder, pull(origin, names, folder, progress)


def _write(
    origin: Origin, arguments: argparse.Namespace, folder: Path, found: Sequence[PulledNamespace]
) -> int:
    """Write what may be written, show it, and return the exit code."""
    from capa_migration.live.pull import write

    differing = [one for one in found if one.state == "differs"]
    blocked = bool(differing) and not arguments.force
    written = [] if blocked else [one for one in found if one.state != "same"]
    write(origin, written, folder)
    code = WOULD_CHANGE if blocked else CLEAN
    change = (
        f"wrote {', '.join(str(one.path) for one in written)}; running it again is safe" if written else ""
    )
    with output_of(change):
        _show(found, written, arguments, code)
    if blocked:
        print(
            f"capa config pull: {len(differing)} of {len(found)} files say something else, so nothing was written."
            " Next: keep them, or replace them with --force",
            file=sys.stderr,
        )
    return code


def _folder() -> Path:
    """Return the folder of the file component that serves the name `default`.

    Raises:
        OptionsError: Another driver serves it, or none.
    """
    from capa_core import Runtime
    from capa_core.errors import UnknownNameError

    with Runtime() as runtime:
        try:
            found = runtime.loaded.table("configuration", "default")
        except UnknownNameError as error:
            raise OptionsError(f"{error}. Do that, or give --to FOLDER") from error
        driver = (found[1].driver if found else None) or "file"
        if driver != "file":
            raise OptionsError(f"configuration default is served by {driver}: give --to FOLDER")
        path = found[1].driver_settings().get("path", "config") if found else "config"
        return Path(os.path.relpath(runtime.root / path))


def _show(
    found: Sequence[PulledNamespace],
    written: Sequence[PulledNamespace],
    arguments: argparse.Namespace,
    code: int,
) -> None:
    from capa_migration.cli.queue_view import print_line
    from capa_migration.live.pull import as_data

    if arguments.json:
        namespaces = list(as_data(found, written=written))
        print_json({"namespaces": namespaces, "complete": _is_complete(found, written)}, code)
        return
    for one in found:
        if one.state == "differs":
            for line in one.diff():
                print_line(line)
        keys = "" if one.keys is None else f", {one.keys:,} keys"
        said = "written" if one in written else {"same": "says so already"}.get(one.state, "not written")
        print_line(f"{one.path}: {said} (release {one.release}{keys})")
    if written:
        print_line(
            f"Next: start the application; `capa doctor` lists namespaces that a program misses. Decorators and Config"
            f' read them with app_id = "{arguments.app_id}" in [adapters.apollo] of capa.toml.'
        )


def _is_complete(found: Sequence[PulledNamespace], written: Sequence[PulledNamespace]) -> bool:
    return all(one in written or one.state == "same" for one in found)


def _refuse(error: Exception, state: str, code: int) -> int:
    print(f"capa config pull: {str(error).rstrip('.')}; {state}", file=sys.stderr)
    return code
