"""References in settings, `${env:NAME}` and `${secret:name}`, resolved when a component is built."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from capa_core.errors import SettingsError, UnknownNameError, nearest

REFERENCE = re.compile(r"\$\{(?P<kind>[a-z]+):(?P<name>[^}#]+)(?:#(?P<field>[^}]*))?\}")

SecretReader = Callable[[str, str], str]
"""Takes the name of a secret and of its field (`""` for the only one) and returns the plain text."""


def resolve(value: Any, place: str, environ: Mapping[str, str], secret: SecretReader) -> Any:
    """Return *value* with each reference in its strings resolved.

    Raises:
        SettingsError: A variable is not set, or the kind of reference is unknown; the message names *place*.
    """
    if isinstance(value, str):
        return REFERENCE.sub(lambda match: _text(match, place, environ, secret), value)
    if isinstance(value, Mapping):
        return {key: resolve(item, place, environ, secret) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(item, place, environ, secret) for item in value]
    return value


def _text(match: re.Match[str], place: str, environ: Mapping[str, str], secret: SecretReader) -> str:
    if match["kind"] == "secret":
        return secret(match["name"], match["field"] or "")
    if match["kind"] != "env":
        raise UnknownNameError(
            f"{place}: unknown kind of reference ${{{match['kind']}:…}}.{nearest(match['kind'], ('env', 'secret'))}"
        )
    if match["name"] not in environ:
        raise SettingsError(
            f"{place}: environment variable {match['name']} is not set. Set it, or change the setting."
        )
    return environ[match["name"]]
