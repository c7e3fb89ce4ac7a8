"""Refusals of RabbitMQ: each a typed error with the component, the cause and the next step."""

import pytest
from servers._process import free_port
from servers.rabbitmq import LARGEST_MESSAGE

from capa_core.components.rabbitmq._errors import RefusedError, check_version, name_error
from capa_core.errors import (
    ConflictError,
    InvalidArgumentError,
    PermissionDeniedError,
    UnavailableError,
    UnsupportedError,
)

pytestmark = [pytest.mark.server("rabbitmq"), pytest.mark.timeout(180)]

MADE_OTHERWISE = {
    "kept queue": lambda channel, names: channel.queue_declare(names.kept, durable=True),
    "group queue": lambda channel, names: channel.queue_declare(names.group("default"), durable=True),
    "index": lambda channel, names: channel.queue_declare(names.index, durable=False),
    "exchange": lambda channel, names: channel.exchange_declare(names.exchange, "direct", durable=True),
}


@pytest.mark.parametrize("made", MADE_OTHERWISE)
def test_what_an_operator_made_otherwise_is_named(pubsub, topic, names, channel, made):
    MADE_OTHERWISE[made](channel, names)

    with pytest.raises(
        ConflictError, match="pubsub .*: consume failed: .*other arguments.*inequivalent.*Delete it"
    ):
        pubsub.consumer(topic)


def test_wrong_credentials_are_refused_with_the_reason(open_pubsub, rabbitmq_url, topic):
    pubsub = open_pubsub(rabbitmq_url.replace("://", "://me:hunter2@"))

    with pytest.raises(
        PermissionDeniedError, match="refuses the user 'me'.*ACCESS_REFUSED.*Correct"
    ) as refused:
        pubsub.publish(topic, b"x")
    assert "hunter2" not in str(refused.value)


def test_a_missing_virtual_host_is_named(open_pubsub, rabbitmq_url, topic):
    pubsub = open_pubsub(f"{rabbitmq_url}/nowhere")

    with pytest.raises(
        PermissionDeniedError, match="no virtual host 'nowhere'.*rabbitmqctl add_vhost nowhere"
    ):
        pubsub.publish(topic, b"x")


def test_a_broker_that_is_down_is_named(open_pubsub, topic):
    port = free_port()
    pubsub = open_pubsub(f"amqp://127.0.0.1:{port}", timeout_s=1)

    with pytest.raises(
        UnavailableError, match=rf"publish failed: no connection to 127.0.0.1:{port}.*capa doctor"
    ):
        pubsub.publish(topic, b"x")


def test_a_message_above_the_limit_of_the_broker_is_named(pubsub, topic):
    pubsub.publish(topic, b"below", raw=True)

    with pytest.raises(
        InvalidArgumentError, match=f"configured max size {LARGEST_MESSAGE}.*max_message_size"
    ):
        pubsub.publish(topic, bytes(LARGEST_MESSAGE + 1), raw=True)
    assert 1 == pubsub.depth(topic)


@pytest.mark.parametrize("version", ["3.7.28", "3.9.29"])
def test_a_broker_without_the_queues_is_too_old(version):
    """No such broker can be installed beside: its description of itself is given."""
    server = {"product": b"RabbitMQ", "version": version.encode()}
    check_version(server | {"version": b"3.10.0"}, "there")
    check_version(server | {"version": b"4.1.0"}, "there")

    with pytest.raises(
        RefusedError, match=rf"at there is version {version}.*3.10 or later.*Upgrade"
    ) as refused:
        check_version(server, "there")
    assert UnsupportedError is name_error(refused.value)
