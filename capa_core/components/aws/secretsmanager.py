"""Secrets from AWS Secrets Manager."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
from botocore.client import BaseClient

from capa_core.abilities import BY_CORE, NATIVE
from capa_core.blocks.secrets.driver import SecretsDriver, SecretsFeature, SecretsLimits
from capa_core.components.aws._driver import AwsDriver
from capa_core.components.aws._errors import AwsError
from capa_core.components.aws._settings import AwsSettings
from capa_core.errors import UnsupportedError

_SERVICE = "secretsmanager"
_LONGEST_NAME = 512
_NAME = re.compile(r"[A-Za-z0-9/_+=.@:-]+")
_ID = re.compile(r"[0-9a-f-]{32,64}")
_MISSING = ("ResourceNotFoundException", "InvalidRequestException")  # the latter of one that is being deleted


class SecretsManagerSettings(AwsSettings):
    """The account and region of the secrets.

    Attributes:
        prefix: The beginning of the names of all secrets, such as `shop/prod/`; names in code are without it.
    """

    prefix: str = ""


class SecretsManager(AwsDriver[SecretsManagerSettings], SecretsDriver[SecretsManagerSettings]):
    """Secrets of one region; each call asks, so that a rotation is seen at once.

    A secret that is a JSON object, as those of databases are, has its members as fields. A version is an id or a stage,
    such as `AWSPREVIOUS`.
    """

    settings_type = SecretsManagerSettings
    features = {**dict.fromkeys(SecretsFeature, NATIVE), SecretsFeature.BULK: BY_CORE}

    @property
    def limits(self) -> SecretsLimits:
        """See `SecretsDriver.limits`."""
        return SecretsLimits(max_name_length=_LONGEST_NAME - len(self.settings.prefix))

    def get(self, name: str, version: str | None) -> Mapping[str, str] | None:
        """See `SecretsDriver.get`."""
        if not _NAME.fullmatch(name):
            return None
        place = self.settings.prefix + name
        wanted: dict[str, Any] = {"SecretId": place}
        if version:
            wanted["VersionId" if _ID.fullmatch(version) else "VersionStage"] = version
        try:
            answer = self.connections.call(_SERVICE, "GetSecretValue", place, **wanted)
        except AwsError as error:
            if error.code in _MISSING:
                return None
            raise
        return _fields(name, answer)

    def names(self) -> list[str]:
        """See `SecretsDriver.names`."""
        return list(self._listed())

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Driver.clients`: boto3's client of the service, safe for many threads, and its session, which is not."""
        return {
            BaseClient: lambda: self.connections.native(_SERVICE),
            boto3.Session: self.connections.session,
        }

    def ping(self) -> str:
        """See `Driver.ping`."""
        self.connections.call(_SERVICE, "ListSecrets", MaxResults=1)
        return f"AWS Secrets Manager in {self.connections.place(_SERVICE).partition(' in ')[2]}"

    def _listed(self) -> Iterator[str]:
        prefix = self.settings.prefix
        request: dict[str, Any] = {"Filters": [{"Key": "name", "Values": [prefix]}]} if prefix else {}
        while True:
            answer = self.connections.call(_SERVICE, "ListSecrets", f"{prefix}*", **request)
            for one in answer.get("SecretList", ()):
                if one["Name"].startswith(prefix):
                    yield one["Name"].removeprefix(prefix)
            if not answer.get("NextToken"):
                return
            request["NextToken"] = answer["NextToken"]


def _fields(name: str, answer: Mapping[str, Any]) -> Mapping[str, str]:
    text = answer.get("SecretString")
    if text is None:
        text = _decoded(name, answer.get("SecretBinary", b""))
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {"": text}
    if not isinstance(found, dict) or not found:
        return {"": text}
    return {
        field: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for field, value in found.items()
    }


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    # Outside the handler: the error would hold the value.
    raise UnsupportedError(
        f"the secret {name!r} is binary and no text. Store it as a text, such as in base64."
    )
