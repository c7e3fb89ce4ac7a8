"""Sessions and clients of boto3, with the settings of a component."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from botocore.session import Session as CoreSession

from capa_core.components.aws._connections import bound
from capa_core.components.aws._settings import AwsSettings

NATIVE = (BotoCoreError, ClientError, ResponseParserError)
_CONNECTIONS = 64


def client(
    session: boto3.Session, settings: AwsSettings, service: str, waits_s: float | None, *, is_checked: bool
) -> Any:
    """Return a new client of *service*, whose answers may take *waits_s* longer than others.

    Args:
        is_checked: Whether it is the application's: boto3 checks its requests, and it has no deadline of whole calls.
    """
    config = Config(
        connect_timeout=settings.timeout_s,
        read_timeout=settings.timeout_s + (waits_s or 0.0),
        # Who calls the driver tries again, within the deadline of the whole call.
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=_CONNECTIONS,
        parameter_validation=is_checked,
        **(_of_s3(settings) if service == "s3" else {}),
    )
    made = session.client(service, endpoint_url=settings.endpoint_url, config=config)
    return made if is_checked else bound(made)


def _of_s3(settings: AwsSettings) -> dict[str, Any]:
    """Return options that only S3 has.

    boto3 would sign addresses by an older method and for `s3.amazonaws.com`, which sends most regions' readers on in
    vain. Another implementation rarely answers at a host name for each bucket.
    """
    style = "path" if settings.endpoint_url else "virtual"
    return {"signature_version": "s3v4", "s3": {"addressing_style": style}}


def session(settings: AwsSettings) -> boto3.Session:
    """Return a session with the credentials of *settings*."""
    core = CoreSession(profile=settings.profile)
    if settings.access_key_id and settings.secret_access_key:
        token = settings.session_token.reveal() if settings.session_token else None
        core.set_credentials(settings.access_key_id, settings.secret_access_key.reveal(), token)
    if settings.role_arn:
        _assume(core, settings)
    return boto3.Session(region_name=settings.region, botocore_session=core)


def _assume(core: CoreSession, settings: AwsSettings) -> None:
    """Have *core* use the role: fetched when it is first needed, and again before it expires."""

    def make(service: str, **options: Any) -> Any:
        place = {"region_name": settings.region, "endpoint_url": settings.endpoint_url}
        limits = Config(connect_timeout=settings.timeout_s, read_timeout=settings.timeout_s)
        return bound(core.create_client(service, **{**options, **place}, config=limits))

    fetcher = AssumeRoleCredentialFetcher(
        client_creator=make,
        source_credentials=core.get_credentials(),
        role_arn=settings.role_arn,
        extra_args={"RoleSessionName": "capa"},
    )
    # botocore renews only credentials that it made itself from a file; it has no public way to set others.
    core._credentials = DeferredRefreshableCredentials(
        refresh_using=fetcher.fetch_credentials, method="assume-role"
    )
