"""Answers of proxies and portals in place of AWS's: they are told, and never taken for AWS's word."""

import pytest

from capa_core.blocks.configuration.driver import Scope
from capa_core.blocks.files import Files
from capa_core.blocks.files.driver import FilePut
from capa_core.components.aws._errors import name_error, of_code
from capa_core.components.aws._settings import AwsSettings
from capa_core.components.aws.appconfig import AppConfigConfiguration, AppConfigSettings
from capa_core.components.aws.s3 import S3Files, S3FilesSettings
from capa_core.components.aws.secretsmanager import SecretsManager, SecretsManagerSettings
from capa_core.components.aws.ssm import SsmConfiguration, SsmConfigurationSettings
from capa_core.errors import (
    ExhaustedError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
    UnknownError,
)

pytestmark = [
    pytest.mark.server("aws"),
    pytest.mark.usefixtures("aws_credentials"),
    pytest.mark.timeout(60),
]

PAGE = (200, "text/html", b"<html>Sign in to the network</html>")
ANSWERS = {
    "page": PAGE,
    "nothing": (200, "application/x-amz-json-1.1", b""),
    "empty object": (200, "application/x-amz-json-1.1", b"{}"),
    "list": (200, "application/x-amz-json-1.1", b"[1, 2]"),
    "null": (200, "application/x-amz-json-1.1", b"null"),
    "other types": (200, "application/x-amz-json-1.1", b'{"Parameters": "x", "SecretList": 5}'),
    "no text": (200, "text/plain", bytes(range(256))),
    "redirection": (302, "text/html", b""),
}
CALLS = {
    "parameters": (SsmConfiguration, {}, lambda one: one.get(Scope())),
    "profile": (
        AppConfigConfiguration,
        {"application": "a", "environment": "b"},
        lambda one: one.get(Scope()),
    ),
    "secret": (SecretsManager, {}, lambda one: one.get("a", None)),
    "file": (S3Files, {"bucket": "b"}, lambda one: one.open("a", 0, None, None)),
    "file's facts": (S3Files, {"bucket": "b"}, lambda one: one.stat("a")),
    "new file": (S3Files, {"bucket": "b"}, lambda one: one.put(FilePut(key="a"), iter([b"x"]))),
    "copy": (S3Files, {"bucket": "b"}, lambda one: one.copy("a", "c")),
    "listing": (S3Files, {"bucket": "b"}, lambda one: one.page("", by_folder=False, token="", most=9)),
}


@pytest.fixture
def fail(refusing):
    """Give a function that makes a call of a driver, which fails, and returns its error."""
    url, handler = refusing

    def fail(call, answer):
        handler.answer = answer
        kind, own, ask = CALLS[call]
        driver = kind(kind.settings_type(endpoint_url=url, **own))
        with pytest.raises(Exception) as raised:
            ask(driver)
        driver.close()
        return raised.value

    return fail


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("call", CALLS)
def test_an_answer_that_is_none_of_aws_is_an_error(fail, call, answer):
    kind = name_error(fail(call, ANSWERS[answer]))

    assert kind in {UnavailableError, SettingsError}


@pytest.mark.parametrize("call", CALLS)
def test_a_page_is_called_so(fail, call):
    assert "a web page: is a proxy between?" in str(fail(call, PAGE))


STATUS = {401: PermissionDeniedError, 403: PermissionDeniedError, 407: SettingsError, 429: ExhaustedError}


@pytest.mark.parametrize("status", STATUS)
@pytest.mark.parametrize("call", CALLS)
def test_a_status_without_a_reason_has_its_meaning(fail, call, status):
    assert STATUS[status] is name_error(fail(call, (status, "text/plain", b"no")))


REASONS = {
    "AccessDenied": (403, PermissionDeniedError, "Allow s3:GetObject to"),
    "RequestTimeTooSkewed": (403, PermissionDeniedError, "Set the clock"),
    "SignatureDoesNotMatch": (403, PermissionDeniedError, "`secret_access_key`"),
    "ExpiredToken": (400, PermissionDeniedError, "sign in again"),
    "AuthorizationHeaderMalformed": (400, SettingsError, "correct `region`"),
    "NoSuchBucket": (404, SettingsError, "Correct `bucket`"),
}


@pytest.mark.parametrize("code", REASONS)
@pytest.mark.parametrize("call", ["file", "file's facts", "copy"])
def test_a_refusal_by_s3_has_its_reason_also_where_a_head_is_refused(fail, call, code):
    status, kind, words = REASONS[code]
    error = fail(
        call, (status, "application/xml", f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode())
    )

    assert kind is name_error(error)
    assert words in str(error)


@pytest.mark.parametrize("call", ["stat", "get", "copy", "put", "page"])
def test_a_missing_bucket_is_told_and_is_no_missing_file(moto_url, call):
    settings = S3FilesSettings(endpoint_url=moto_url, bucket="no-such-bucket-at-all")
    calls = {
        "stat": lambda files: files.stat("k"),
        "get": lambda files: files.get("k"),
        "copy": lambda files: files.copy("k", "l"),
        "put": lambda files: files.put("k", b""),
        "page": lambda files: files.page(),
    }
    with Files(S3Files(settings)) as files, pytest.raises(SettingsError, match="make the bucket"):
        calls[call](files)


def test_a_missing_file_costs_one_request_more_until_the_bucket_has_answered(moto_url, bucket, monkeypatch):
    from botocore.client import BaseClient

    asked, make = [], BaseClient._make_api_call

    def noted(self, operation, request):
        asked.append(operation)
        return make(self, operation, request)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    with Files(S3Files(S3FilesSettings(endpoint_url=moto_url, bucket=bucket))) as files:
        found = [files.stat("k"), files.stat("k")]

    assert [None, None] == found
    assert ["HeadObject", "GetObject", "HeadObject"] == asked


@pytest.mark.parametrize(
    ("action", "permission"),
    [
        ("s3:ListObjectsV2", "s3:ListBucket"),
        ("s3:HeadObject", "s3:GetObject"),
        ("s3:UploadPart", "s3:PutObject"),
        ("s3:CopyObject", "s3:PutObject, and s3:GetObject of the source,"),
        ("appconfigdata:GetLatestConfiguration", "appconfig:GetLatestConfiguration"),
        ("ssm:PutParameter", "ssm:PutParameter"),
    ],
)
def test_a_permission_is_named_as_a_policy_has_it(action, permission):
    assert f"Allow {permission} to" in str(of_code("AccessDenied", "", action, "there"))


def test_an_unknown_code_with_a_status_of_a_refusal_stays_unknown():
    assert UnknownError is of_code("SomethingNew", "", "ssm:GetParameter", "there", 403).kind


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (AwsSettings, {"endpoint_url": "127.0.0.1:9000"}),
        (AwsSettings, {"endpoint_url": ""}),
        (AwsSettings, {"role_arn": "worker"}),
        (S3FilesSettings, {"bucket": "not a bucket!"}),
        (SsmConfigurationSettings, {"endpoint_url": "ftp://host"}),
        (SsmConfigurationSettings, {"prefix": "/aws/shop/"}),
        (SsmConfigurationSettings, {"prefix": "/SSM-shop/"}),
        (AppConfigSettings, {"endpoint_url": "http://"}),
        (SecretsManagerSettings, {"role_arn": "arn:aws:iam::1:user/me"}),
    ],
)
def test_a_setting_that_boto3_would_choke_on_is_refused_at_the_start(kind, settings):
    with pytest.raises(ValueError, match="Give "):
        kind(**settings)
