"""Refusals of NATS: each a typed error with the component, the cause and the next step."""

import socket
import threading

import certifi
import pytest
from nats.js import api
from servers._process import free_port

from capa_core.blocks.configuration import Configuration
from capa_core.components.nats._errors import RefusedError, check_version, name_error
from capa_core.components.nats._settings import NatsSettings
from capa_core.components.nats.configuration import NatsConfiguration, NatsConfigurationSettings
from capa_core.errors import (
    ConflictError,
    ExhaustedError,
    InvalidArgumentError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
    UnsupportedError,
)

pytestmark = [pytest.mark.server("nats"), pytest.mark.timeout(60)]

RIGHT = {
    "retention": "interest",
    "allow_msg_schedules": True,
    "allow_direct": True,
    "max_age": 0,
    "num_replicas": 1,
}
WRONG = [
    ({"retention": "limits"}, "retention must be interest"),
    ({"retention": "workqueue"}, "retention must be interest"),
    ({"allow_msg_schedules": False}, "allow_msg_schedules must be True"),
    ({"max_age": 60.0}, "max_age must be 0"),
    ({"max_msgs": 10}, "max_msgs must be unlimited"),
    ({"max_bytes": 10_000}, "max_bytes must be unlimited"),
    ({"no_ack": True}, "no_ack must be off"),
]


@pytest.mark.parametrize(("changed", "told"), WRONG, ids=str)
def test_a_stream_that_an_operator_made_and_that_loses_is_named(
    pubsub, topic, names, elsewhere, changed, told
):
    config = api.StreamConfig(name=names.stream, subjects=[names.now, names.later], **RIGHT | changed)
    elsewhere(lambda client: client.jetstream().add_stream(config))

    for use in (pubsub.consumer, lambda topic: pubsub.publish(topic, b"x")):
        with pytest.raises(ConflictError, match=rf"the stream '{names.stream[:4]}.*{told}.*nats stream edit"):
            use(topic)


def test_a_stream_that_takes_the_subjects_is_named(pubsub, topic, names, elsewhere):
    elsewhere(lambda client: client.jetstream().add_stream(name=f"other-{topic}", subjects=[names.now]))

    with pytest.raises(ConflictError, match=f"another stream already takes.*{topic}.*nats stream ls"):
        pubsub.publish(topic, b"x")


def test_a_stream_that_an_operator_made_as_it_should_be_is_used(pubsub, topic, names, elsewhere):
    config = api.StreamConfig(name=names.stream, subjects=[names.now, names.later, f"more.{topic}"], **RIGHT)
    elsewhere(lambda client: client.jetstream().add_stream(config))
    pubsub.publish(topic, b"x")

    assert 1 == pubsub.depth(topic)


@pytest.mark.parametrize("changed", [{"max_deliver": 3}, {"ack_policy": "none"}], ids=str)
def test_a_consumer_that_an_operator_made_and_that_loses_is_named(pubsub, topic, names, elsewhere, changed):
    pubsub.publish(topic, b"x")
    config = api.ConsumerConfig(durable_name=names.consumer("default"), filter_subject=names.now)
    elsewhere(lambda client: client.jetstream().add_consumer(names.stream, config.evolve(**changed)))

    with pytest.raises(ConflictError, match=r"the consumer 'group\+default'.*max_deliver -1.*Delete it"):
        pubsub.consumer(topic)


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        (NatsSettings, {"nkey_seed": "SUx"}, "not the seed of an NKey"),
        (NatsSettings, {"prefix": "a b"}, "prefix"),
        (NatsConfigurationSettings, {"prefix": "a b*>"}, "prefix"),
    ],
)
def test_a_setting_that_no_server_takes_is_refused_at_the_start(kind, settings, told):
    with pytest.raises(ValueError, match=told):
        kind(**settings)


def test_a_file_of_credentials_that_is_missing_is_named_also_where_the_server_asks_for_none(
    nats_url, tmp_path
):
    driver = NatsConfiguration(
        NatsConfigurationSettings(url=nats_url, credentials_file=tmp_path / "missing.creds")
    )
    with Configuration(driver) as configuration, pytest.raises(SettingsError, match=r"missing\.creds"):
        configuration.get()


@pytest.mark.parametrize(
    ("settings", "kind", "told"),
    [
        ({"replicas": 3}, SettingsError, "Set `replicas`"),
        ({"domain": "other"}, UnsupportedError, "correct `domain`"),
    ],
    ids=str,
)
def test_a_setting_that_the_server_does_not_take_is_named(nats_url, topic, settings, kind, told):
    own = NatsConfigurationSettings(url=nats_url, prefix=topic, **settings)
    with Configuration(NatsConfiguration(own)) as configuration, pytest.raises(kind, match=told):
        configuration.save({"a": "1"})


CREDENTIALS = [
    ({"user": "me", "password": "hunter2"}, "the user 'me'"),
    ({"token": "hunter2"}, "these credentials"),
    ({}, "these credentials"),
]


@pytest.mark.parametrize(("given", "told"), CREDENTIALS, ids=["user", "token", "none"])
def test_wrong_credentials_are_refused_with_the_reason(start_nats, open_pubsub, given, told):
    server = start_nats(more='authorization { user: "right", password: "s3cret" }')

    with pytest.raises(PermissionDeniedError, match=f"refuses {told}.*Authorization.*Correct") as refused:
        open_pubsub(server.url, **given).publish("t", b"x")
    assert "hunter2" not in str(refused.value)
    assert open_pubsub(server.url, user="right", password="s3cret").publish("t", b"x")
    assert open_pubsub(server.url.replace("://", "://right:s3cret@")).publish("t", b"x")


@pytest.mark.parametrize("given", [{"tls": True}, {"tls_ca_file": certifi.where()}], ids=["scheme", "ca"])
def test_nothing_is_sent_to_a_server_without_tls_where_it_was_asked_for(open_pubsub, given):
    heard = []

    def serve(listener):
        accepted, _ = listener.accept()
        with accepted:
            accepted.sendall(
                b'INFO {"server_id":"x","version":"2.12.0","max_payload":1048576,"headers":true}\r\n'
            )
            accepted.settimeout(20)
            heard.append(accepted.recv(100))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        scheme = "tls" if given.pop("tls", False) else "nats"
        pubsub = open_pubsub(
            f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", user="me", password="pw", **given
        )
        with pytest.raises(
            UnavailableError, match=r"no connection to NATS at .* the server has no TLS, and nothing"
        ):
            pubsub.ping()
        server.join(30)

    assert [b""] == heard


def test_a_permission_that_is_missing_is_named(start_nats, open_pubsub):
    server = start_nats(
        more='authorization { users: [{ user: "a", password: "b", permissions: { publish: { deny: "$JS.API.>" } } }] }'
    )
    pubsub = open_pubsub(server.url, user="a", password="b")

    with pytest.raises(
        PermissionDeniedError, match=r"(?i)permissions violation for publish to .*stream\.info"
    ):
        pubsub.publish("t", b"x")


def test_a_server_without_jetstream_is_told_apart(start_nats, open_pubsub):
    server = start_nats(more="accounts { A { users: [{ user: a, password: b }] } }")

    with pytest.raises(UnsupportedError, match="-js, or enable it for the account"):
        open_pubsub(server.url, user="a", password="b").publish("t", b"x")


def test_a_server_that_is_down_is_named(open_pubsub, topic):
    port = free_port()
    pubsub = open_pubsub(f"nats://127.0.0.1:{port}", timeout_s=1)

    with pytest.raises(
        UnavailableError, match=rf"publish failed: no connection to NATS at nats://127.0.0.1:{port}"
    ):
        pubsub.publish(topic, b"x")


def test_a_message_above_the_limit_of_the_server_is_named(open_pubsub, nats_url, topic):
    pubsub = open_pubsub(nats_url, max_message_bytes=2_000_000)

    with pytest.raises(InvalidArgumentError, match="max_payload"):
        pubsub.publish(topic, bytes(1_500_000), raw=True)
    assert 0 == pubsub.depth(topic)


def test_a_full_server_is_told(start_nats, open_pubsub):
    server = start_nats(
        more="accounts { A { jetstream: { max_file: 200K }, users: [{ user: a, password: b }] } }"
    )
    pubsub = open_pubsub(server.url, user="a", password="b")
    results = pubsub.publish_many("t", [bytes(30_000)] * 10, raw=True)
    stored = [result for result in results if result.ok]

    assert {ExhaustedError} == {type(result.error) for result in results if not result.ok}
    assert len(stored) == pubsub.depth("t")


@pytest.mark.parametrize("version", ["2.9.25", "2.11.4"])
def test_a_server_without_schedules_is_too_old(version):
    """No such server can be installed beside: its version is given."""
    check_version("2.12.0", "there")
    check_version("3.0.0-beta", "there")

    with pytest.raises(
        RefusedError, match=rf"at there is version {version}.*2.12 or later.*Upgrade"
    ) as refused:
        check_version(version, "there")
    assert UnsupportedError is name_error(refused.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://h"},
        {"url": "nats://"},
        {"url": "nats://u:pa/ss@h:x"},
        {"other_servers": ["h:4222"]},
        {"user": "a"},
        {"user": "a", "password": "b", "token": "c"},
        {"tls_cert_file": "x"},
        {"prefix": "a.b"},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValueError) as refused:
        NatsSettings(**wrong)
    assert "pa/ss" not in str(refused.value).partition("input_value")[0]
