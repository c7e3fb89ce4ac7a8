"""Conformance of secrets from AWS Secrets Manager, on moto, an emulator; versions, and what is stored otherwise."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import boto3
import pytest

from capa_core.blocks.secrets import Secrets
from capa_core.components.aws.secretsmanager import SecretsManager, SecretsManagerSettings
from capa_core.conformance.secrets import SecretsConformance, Stock
from capa_core.errors import NotFoundError, UnsupportedError

pytestmark = [pytest.mark.server("aws"), pytest.mark.timeout(60, func_only=True)]


@pytest.fixture
def prefix() -> str:
    return f"{uuid4().hex}/"


@pytest.fixture
def service(moto_url: str, aws_credentials: None) -> Any:
    return boto3.client("secretsmanager", endpoint_url=moto_url)


@pytest.fixture
def secrets(moto_url: str, service: Any, prefix: str) -> Any:
    with Secrets(opened(moto_url, prefix)) as secrets:
        yield secrets


def opened(url: str, prefix: str) -> SecretsManager:
    return SecretsManager(SecretsManagerSettings(endpoint_url=url, prefix=prefix))


class TestSecretsManager(SecretsConformance):
    @pytest.fixture
    def stock(self, moto_url: str, service: Any, prefix: str) -> Stock:
        """Keep what is the same: the service counts deletions, and takes no empty text but in a field."""
        stored: dict[str, Any] = {}

        def stock(secrets: Mapping[str, str | Mapping[str, str]]) -> SecretsManager:
            for name in set(stored) - set(secrets):
                service.delete_secret(SecretId=prefix + name, ForceDeleteWithoutRecovery=True)
                del stored[name]
            for name, value in secrets.items():
                text = value if isinstance(value, str) and value else json.dumps(value or {"": ""})
                change: Callable[..., Any] = service.put_secret_value
                if name in stored:
                    change(SecretId=prefix + name, SecretString=text)
                else:
                    service.create_secret(Name=prefix + name, SecretString=text)
                stored[name] = value
            return opened(moto_url, prefix)

        return stock


def test_an_older_version_is_read_by_id_and_by_stage(secrets, service, prefix):
    first = service.create_secret(Name=f"{prefix}db", SecretString="old")["VersionId"]
    service.put_secret_value(SecretId=f"{prefix}db", SecretString="new")
    read = [secrets.get("db", version=version).reveal() for version in (None, first, "AWSPREVIOUS")]

    assert ["new", "old", "old"] == read
    with pytest.raises(NotFoundError):
        secrets.get("db", version=str(uuid4()))


def test_numbers_of_a_database_secret_are_texts(secrets, service, prefix):
    service.create_secret(Name=f"{prefix}db", SecretString='{"host": "h", "port": 5432}')

    assert ("h", "5432") == (
        secrets.get("db", field="host").reveal(),
        secrets.get("db", field="port").reveal(),
    )


def test_a_binary_secret_that_is_no_text_is_refused_without_its_value(secrets, service, prefix):
    service.create_secret(Name=f"{prefix}key", SecretBinary=b"\xffhunter2")

    with pytest.raises(UnsupportedError, match="'key' is binary") as refused:
        secrets.get("key")
    assert "hunter2" not in repr(refused.value.__context__)


def test_a_secret_that_is_being_deleted_is_not_found(secrets, service, prefix):
    service.create_secret(Name=f"{prefix}db", SecretString="x")
    service.delete_secret(SecretId=f"{prefix}db")

    with pytest.raises(NotFoundError):
        secrets.get("db")
