"""The address of a service, as far as it can be told without botocore."""

from __future__ import annotations

import os
import re
from urllib.request import getproxies_environment

from capa_core.components.aws._settings import AwsSettings
from capa_core.reach import Server, http_port, servers_of

_USUAL_REGION = re.compile(r"(?:af|ap|ca|eu|il|me|mx|sa|us)-[a-z]+-\d")
"""Regions whose services end in `amazonaws.com`, and are not those of a government."""
_ELSEWHERE = ("AWS_ENDPOINT_URL", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_PROFILE")


def servers(settings: AwsSettings, service: str) -> list[Server]:
    """Return the server of *service*; none where it is behind a proxy, or elsewhere by other rules."""
    if getproxies_environment():
        return []
    if settings.endpoint_url:
        return servers_of(settings.endpoint_url, http_port(settings.endpoint_url))
    region = settings.region or os.environ.get("AWS_DEFAULT_REGION", "")
    if settings.profile or not _USUAL_REGION.fullmatch(region) or any(map(_is_elsewhere, os.environ)):
        return []
    return [Server(f"{service}.{region}.amazonaws.com", 443)]


def _is_elsewhere(variable: str) -> bool:
    return variable.startswith(_ELSEWHERE)
