"""Annotations on the lines of a pull request: workflow commands that GitHub Actions reads from the output of a step.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions. GitHub shows ten warnings and ten errors
of a step; errors come first.
"""

from __future__ import annotations

from collections.abc import Iterator

from capa_migration.rewrite.remarks import Remark, gravest_first, remarks_of
from capa_migration.rewrite.report import Report

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def render(report: Report) -> Iterator[str | bytes]:
    """Yield one workflow command for each remark."""
    for remark in gravest_first(remarks_of(report)):
        yield _annotation(remark, report.prefix)


def _annotation(remark: Remark, prefix: str) -> str:
    properties = {"file": prefix + remark.path}
    if remark.line:
        properties["line"] = str(remark.line)
    properties["title"] = f"capa: {remark.id}"
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{_COMMANDS[remark.level]} {given}::{_text(f'{remark.message}. Next: {remark.next_step}.')}\n"


def _text(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _text(text).replace(":", "%3A").replace(",", "%2C")
