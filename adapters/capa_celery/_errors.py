"""What is said when something is not served."""

from __future__ import annotations

from capa_core.errors import UnsupportedError

DOCS = "docs/differences/celery.md"


def unsupported(what: str, *, instead: str, anchor: str) -> UnsupportedError:
    """Return the error for a part of Celery that Capa does not serve, with what to do and where to read on."""
    return UnsupportedError(f"{what} is not served by capa_celery. {instead} See {DOCS}#{anchor}")
