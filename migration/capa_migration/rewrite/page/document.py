"""The document of the page, built from its assets: everything inside, nothing fetched."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

_ASSETS = files(__package__) / "assets"

SCRIPTS = (
    *("unpack.js", "elements.js", "view.js"),
    *("numbers.js", "inventory.js", "explanations.js", "shapes.js", "abilities.js"),
    *("diff.js", "changes.js", "findings.js", "progress.js", "scrolling.js", "main.js"),
)
"""In the order of their dependencies."""


def document(data: dict[str, Any], report: str, changes: str) -> str:
    """Return the HTML of a page.

    Args:
        data: The result of `contents`; its plain numbers are in the HTML for browsers without scripts.
        report: The same data, packed.
        changes: The files of the rewrite, packed.
    """
    style, theme = _asset("page.css"), _asset("theme.js")
    script = "\n".join(_asset(name) for name in SCRIPTS)
    template = Template(_asset("page.html"))
    return template.substitute(
        name=escape(data["name"]),
        policy=_policy([theme, script], style),
        **{key: f"{number:,}" for key, number in data["numbers"].items()},
        style=style,
        theme=theme,
        script=script,
        report=report,
        changes=changes,
    )


def _policy(scripts: Iterable[str], style: str) -> str:
    """Return a content security policy by which the page's own scripts run, and nothing is fetched."""
    allowed = " ".join(map(_digest, scripts))
    rules = {
        "default-src": "'none'",
        "img-src": "data:",  # the empty icon, without which a browser requests one
        "script-src": allowed,
        "style-src": _digest(style),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
