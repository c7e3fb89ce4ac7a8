"""AWS refuses, is elsewhere, or does not answer: the error names component, cause and next step."""

import json
import time

import pytest
from servers._process import free_port

from capa_core.components.aws._names import Names
from capa_core.components.aws._settings import AwsSettings
from capa_core.errors import (
    ConflictError,
    ExhaustedError,
    InvalidArgumentError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
)

pytestmark = pytest.mark.server("aws")

REFUSALS = {
    "AccessDenied": (PermissionDeniedError, "Allow sqs:GetQueueUrl"),
    "KmsAccessDenied": (PermissionDeniedError, "Allow sqs:GetQueueUrl"),
    "ExpiredToken": (PermissionDeniedError, "sign in again"),
    "SignatureDoesNotMatch": (PermissionDeniedError, "secret_access_key"),
    "InvalidClientTokenId": (PermissionDeniedError, "correct its credentials"),
    "RequestThrottled": (ExhaustedError, "RequestThrottled"),
    "ThrottlingException": (ExhaustedError, "ThrottlingException"),
    "ServiceUnavailable": (UnavailableError, "ServiceUnavailable"),
    "QueueDeletedRecently": (UnavailableError, "60 s"),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_is_told_with_the_next_step(opened, refusing, code):
    url, handler = refusing
    body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "no"}).encode()
    handler.answer = 400, "application/x-amz-json-1.0", body
    kind, words = REFUSALS[code]

    with pytest.raises(kind) as refused:
        opened(endpoint_url=url).publish("t", b"x")

    assert "pubsub 'orders': publish failed" in str(refused.value)
    assert words in str(refused.value)


def test_a_page_in_place_of_an_answer_is_told(opened, refusing):
    url, handler = refusing
    handler.answer = 200, "text/html", b"<html>Sign in to the network</html>"

    with pytest.raises(UnavailableError, match=r"between\? `capa doctor`"):
        opened(endpoint_url=url).publish("t", b"x")


def test_a_service_that_is_down_is_told(opened):
    with pytest.raises(UnavailableError, match="Could not connect"):
        opened(endpoint_url=f"http://127.0.0.1:{free_port()}").publish("t", b"x")


def test_a_service_that_does_not_answer_ends_with_the_deadline(opened, monkeypatch):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with pytest.raises(UnavailableError):
            opened(endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.5).publish(
                "t", b"x"
            )

    assert time.monotonic() - start < 15


def test_without_a_region_the_setting_is_named(opened, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    with pytest.raises(SettingsError, match="`region`"):
        opened(endpoint_url=None).publish("t", b"x")


def test_without_credentials_the_ways_to_give_them_are_named(opened, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    with pytest.raises(PermissionDeniedError, match="AWS_ACCESS_KEY_ID"):
        opened().publish("t", b"x")


def test_an_unknown_profile_is_named(opened):
    with pytest.raises(SettingsError, match="nosuch"):
        opened(profile="nosuch").publish("t", b"x")


def test_half_of_the_credentials_is_refused():
    with pytest.raises(ValueError, match="belong together"):
        AwsSettings(access_key_id="a")


def test_a_secret_is_not_shown():
    assert "hunter2" not in repr(AwsSettings(access_key_id="a", secret_access_key="hunter2"))


def test_a_smaller_limit_of_an_operators_queue_is_told(opened, aws, prefix):
    aws("sqs").create_queue(QueueName=f"{prefix}t", Attributes={"MaximumMessageSize": "1024"})

    with pytest.raises(InvalidArgumentError, match=f"{prefix}t"):
        opened().publish("t", b"x" * 2000)


def test_a_queue_of_another_topic_is_refused(opened, aws, prefix):
    """A shortened name alone does not tell the topic."""
    pubsub = opened()
    aws("sqs").create_queue(QueueName=Names(prefix, "ü").base, tags={"capa:topic": "another"})

    with pytest.raises(ConflictError, match="`prefix`"):
        pubsub.publish("ü", b"x")
