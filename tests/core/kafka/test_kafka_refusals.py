"""Refusals of Kafka: each a typed error with the component, the cause and the next step."""

import socket

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient, NewTopic
from pydantic import ValidationError
from servers._process import free_port
from servers.kafka import LARGEST_RECORD, PASSWORD, USER

from capa_core.blocks.log import OutgoingRecord
from capa_core.components.kafka._errors import name_error, refusal
from capa_core.components.kafka.log import KafkaLog
from capa_core.errors import (
    ConflictError,
    InvalidArgumentError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
    UnsupportedError,
)

pytestmark = [pytest.mark.server("kafka"), pytest.mark.timeout(120)]


def test_a_broker_that_is_down_is_named(open_log, topic):
    log = open_log(f"kafka://127.0.0.1:{free_port()}", timeout_s=0.5)

    for call in (log.append, log.consumer):
        with pytest.raises(UnavailableError, match=r"log .*failed: .*Connection refused.*capa doctor"):
            call(topic, *([b"x"] if call == log.append else []))
    with pytest.raises(UnavailableError, match="Connection refused"):
        log.ping()


def test_a_port_that_never_answers_is_named(open_log, topic):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = f"127.0.0.1:{listener.getsockname()[1]}"
        log = open_log(f"kafka://{place}", timeout_s=0.5)
        calls = (
            log.ping,
            lambda: log.append(topic, b"x"),
            lambda: log.consumer(topic),
            lambda: log.bounds(topic),
        )
        for call in calls:
            with pytest.raises(
                UnavailableError, match=rf"no answer from {place}, .*Check that the brokers run"
            ):
                call()


def test_credentials_for_brokers_that_ask_for_none_are_told(open_log, kafka_url):
    log = open_log(kafka_url, user="me", password="hunter2", timeout_s=2)

    place = kafka_url.partition("//")[2]
    with pytest.raises(
        PermissionDeniedError, match=rf"{place}.*where the brokers ask for none, remove"
    ) as refused:
        log.ping()
    assert "hunter2" not in str(refused.value)


def test_a_record_above_the_limit_of_the_brokers_is_named(open_log, kafka_url, topic):
    log = open_log(kafka_url, max_record_bytes=2 * LARGEST_RECORD)
    log.append(topic, b"below")

    with pytest.raises(
        InvalidArgumentError, match=r"log .*append failed: topic .*too large.*max\.message\.bytes"
    ):
        log.append(topic, bytes(LARGEST_RECORD + 1))
    one, other = log.append_many(topic, [OutgoingRecord(b"small"), OutgoingRecord(bytes(LARGEST_RECORD + 1))])
    assert (True, InvalidArgumentError) == (one.ok, type(other.error))


def test_more_replicas_than_brokers_are_refused(open_log, kafka_url, topic):
    log = open_log(kafka_url, replicas=3)

    with pytest.raises(InvalidArgumentError, match="eplication factor.*Set `replicas`"):
        log.append(topic, b"x")


def test_a_topic_that_an_operator_made_compacted_is_named(log, topic):
    made = NewTopic(topic, 1, 1, config={"cleanup.policy": "compact"})
    log.native(AdminClient).create_topics([made])[topic].result()

    with pytest.raises(ConflictError, match=r"append failed: topic .*compacted.*`cleanup\.policy` to delete"):
        log.append(topic, b"x")
    assert any("compaction" in str(risk) for risk in log.risks())


def test_names_that_kafka_takes_for_the_same_are_refused(log, topic):
    log.append(f"{topic}.a", b"x")

    with pytest.raises(InvalidArgumentError, match="collides.*rename one"):
        log.append(f"{topic}_a", b"x")


def test_a_time_before_kafka_has_any_is_refused(log, topic):
    with pytest.raises(InvalidArgumentError, match="no times before 1970"):
        log.append(topic, b"x", timestamp=-1.0)


def test_a_time_in_the_future_is_refused_with_the_setting(log, topic):
    with pytest.raises(InvalidArgumentError, match=r"message\.timestamp\.after\.max\.ms"):
        log.append(topic, b"x", timestamp=10_000_000_000)


def test_the_partitions_of_a_topic_that_an_operator_made_are_used(log, kafka_url, topic):
    """Their number is his."""
    admin = log.native(AdminClient)
    admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])[topic].result()
    log.append_many(topic, [b"x"] * 50)

    assert {0, 1} == {partition.number for partition, bounds in log.bounds(topic).items() if bounds.end}
    with pytest.raises(InvalidArgumentError, match=r"no such partition"):
        log.append(topic, b"x", partition=2)


def test_a_topic_that_an_operator_deleted_is_made_again(log, topic):
    log.append(topic, b"before")
    log.native(AdminClient).delete_topics([topic])[topic].result()
    log.append(topic, b"after")

    assert 1 == sum(bounds.end for bounds in log.bounds(topic).values())


def test_brokers_that_are_too_old_are_named():
    """None can be installed beside: the client's error is given."""
    refused = refusal(KafkaError(KafkaError._UNSUPPORTED_FEATURE, "DeleteRecords not supported"), "topic 't'")

    assert UnsupportedError is name_error(refused)
    assert "topic 't': DeleteRecords not supported. Use brokers of version 2.1 or later" in str(refused)


def test_a_broker_that_hangs_up_in_the_handshake_has_the_next_step_of_tls():
    """Mostly the handshake fails; when the broker is faster, the connection has ended."""
    words = "ssl://h:9092/1: Disconnected: SSL connection closed by peer (after 2ms in state SSL_HANDSHAKE)"
    refused = refusal(KafkaError(KafkaError._TRANSPORT, words), "topic 't'")

    assert UnavailableError is name_error(refused)
    assert "for a broker without TLS, write kafka://" in str(refused)


def test_a_record_without_its_replicas_in_sync_is_not_taken_for_silence():
    """No cluster of several brokers can be broken beside: the producer's error is given."""
    error = KafkaError(KafkaError._MSG_TIMED_OUT, "Local: Message timed out")
    refused = refusal(error, "topic 't'", servers="h:9092")

    assert UnavailableError is name_error(refused)
    assert "not stored in time by h:9092" in str(refused)
    assert "as the topic's `min.insync.replicas`" in str(refused)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_credentials_are_proved(open_log, start_kafka, topic, mechanism):
    broker = start_kafka(sasl=mechanism)
    settings = {"user": USER, "mechanism": mechanism}
    log = open_log(broker.url, password=PASSWORD, **settings)
    log.append(topic, b"x")
    stranger = open_log(broker.url, password="wrong-guess", **settings)

    assert [b"x"] == [record.value for record in log.consumer(topic).poll(1, 30)]
    nobody = open_log(broker.url, timeout_s=2)
    with pytest.raises(UnavailableError, match=rf"{broker.servers}.*where it asks who you are, set `user`"):
        nobody.ping()
    for call in (lambda: stranger.append(topic, b"x"), lambda: stranger.reader(topic)):
        with pytest.raises(
            PermissionDeniedError, match=r"log .* failed: .*uthentication.*Correct `user`"
        ) as refused:
            call()
        assert "wrong-guess" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "localhost:9092"}, "not an address of a Kafka cluster"),
        ({"url": "kafka://me:hunter2@localhost"}, "user and password are settings of their own"),
        ({"user": "me"}, "`user` and `password` go together"),
        ({"mechanism": "OAUTHBEARER"}, "needs `token`"),
        ({"token": "module:function"}, "OAUTHBEARER"),
    ],
)
def test_incomplete_settings_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message) as refused:
        KafkaLog.settings_type(**settings)
    assert "hunter2" not in str(refused.value.errors(include_input=False))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mechanism": "OAUTHBEARER", "token": "no.such:function"}, "no.such:function.*not there"),
        ({"ca_file": "/no/such/file"}, "ssl.ca.location"),
    ],
)
def test_settings_that_lead_nowhere_are_named(open_log, topic, settings, message):
    log = open_log("kafkas://127.0.0.1", **settings)

    with pytest.raises(SettingsError, match=message):
        log.append(topic, b"x")
