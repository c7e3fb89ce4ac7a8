"""Replace variables by the commands that they hold: files name their command once, and its sub-commands later."""

from __future__ import annotations

import re
from collections import defaultdict

_MAKEFILES = ("makefile", ".mk")
_SCRIPTS = (".sh", ".bash", "start", "run", "entrypoint")
_IN_MAKEFILE = re.compile(
    r"^(?:export\s+)?(?P<name>\w+)[ \t]*[:?]?=[ \t]*(?P<value>[^\n]*\bcelery\b[^\n]*)(?<![\\\s])[ \t]*$",
    re.MULTILINE,
)
# One word where there are no quotes: `A=b celery …` is a command with a variable of its own.
_IN_SCRIPT = re.compile(
    r"^[ \t]*(?:(?:export|readonly|local)\s+)?(?P<name>\w+)="
    r"(?P<value>\"[^\n\"`(]*\bcelery\b[^\n\"`(]*\"|'[^\n']*\bcelery\b[^\n']*'|[^\s\"'`();&|]*\bcelery\b[^\s\"'`();&|]*)"
    r"[ \t]*$",
    re.MULTILINE,
)
_USE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


def with_variables(path: str, text: str) -> str:
    """Return *text*, of the file at *path*, with the commands of Celery that its variables hold where they are used.

    Lines keep their numbers. A variable that holds different things is not followed, nor one set over several lines.
    """
    name = path.rpartition("/")[2].lower()
    if not name.endswith((*_MAKEFILES, *_SCRIPTS)):
        return text
    setting = _IN_MAKEFILE if name.endswith(_MAKEFILES) else _IN_SCRIPT
    held: dict[str, set[str]] = defaultdict(set)
    for found in setting.finditer(text):
        held[found["name"]].add(found["value"].strip("\"'"))
    known = {variable: values.pop() for variable, values in held.items() if len(values) == 1}
    return _USE.sub(lambda use: known.get(use[1] or use[2], use[0]), setting.sub("", text)) if held else text
