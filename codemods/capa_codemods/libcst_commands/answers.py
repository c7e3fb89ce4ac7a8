"""Run a command of LibCST over one file, in LibCST's own process."""

from __future__ import annotations

import traceback
from functools import cache
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from typing import Any


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Return the new text of the source in *question* and the warnings of the command, or why it could not be run."""
    if find_spec("libcst") is None:
        return {"error": "LibCST is not installed: pip install 'capa-core[migrate]'"}
    try:
        return _run(question)
    except Exception as error:  # noqa: BLE001 - a command of another package: its error is reported
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return {"error": f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"}


def _run(question: dict[str, Any]) -> dict[str, Any]:
    import libcst as cst
    from libcst.codemod import CodemodContext, SkipFile
    from libcst.helpers import calculate_module_and_package

    data = question["source"].encode("latin-1")
    place = calculate_module_and_package(question["folder"], question["path"])
    context = CodemodContext(
        filename=question["path"], full_module_name=place.name, full_package_name=place.package
    )
    module = cst.parse_module(data)
    if module.bytes != data:
        return {"refused": "LibCST does not return the file byte for byte", "warnings": []}
    try:
        done = _command(question["command"])(context, **question["settings"]).transform_module(module)
    except SkipFile as reason:
        return {"result": question["source"], "warnings": [*context.warnings, f"passed over: {reason}"]}
    return {"result": done.bytes.decode("latin-1"), "warnings": context.warnings}


@cache
def _command(value: str) -> Any:
    from libcst.codemod import CodemodCommand

    found = EntryPoint("", value, "").load()
    if not (isinstance(found, type) and issubclass(found, CodemodCommand)):
        raise TypeError(f"{value} is not a subclass of libcst.codemod.CodemodCommand")
    return found
