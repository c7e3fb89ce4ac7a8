"""Policies of an operator that lose messages are told with the remedy, as the broker's management shows them."""

import base64
import json
import re
from urllib.request import Request, urlopen

import pytest
from servers._process import free_port
from servers.rabbitmq import RabbitServer

from capa_core.conformance._tolerance import wait_until
from capa_core.errors import PermissionDeniedError, UnavailableError

pytestmark = [pytest.mark.server("rabbitmq"), pytest.mark.timeout(180)]

POLICY = {
    "message-ttl": 100,
    "max-length": 5,
    "max-length-bytes": 10_000,
    "dead-letter-exchange": "elsewhere",
    "delivery-limit": 3,
}
OPERATOR_POLICY = {"expires": 3_600_000}
NAMED = "Take `{}` out of the policy 'p' or the operator policy 'o', or let its pattern leave out 'capa[.]'"
TOLD = [
    (
        "a wait of more than 100 ms loses messages of .*'capa.group.t|g', .*exchange 'elsewhere'",
        "message-ttl",
    ),
    ("a delay of more than 100 ms loses the rest of that delay of messages of .*'capa.delay.", "message-ttl"),
    ("a time of 3,600,000 ms without a consumer loses the queues .*'capa.group.t|g'", "expires"),
    ("more than 5 messages loses the oldest of the queues 'capa.group.t|g', 'capa.kept.t'", "max-length"),
    ("more than 10,000 bytes loses the oldest of the queues 'capa.group.t|g'", "max-length-bytes"),
    (
        "lost lease number 3 [+] 1 of a message loses that message of the queues 'capa.group.t|g'",
        "delivery-limit",
    ),
]


@pytest.fixture(scope="module")
def broker():
    with RabbitServer.started(management=True) as broker:
        yield broker
        broker.kill()  # it keeps nothing that matters, and takes seconds to stop


def manage(broker, verb, path, body=None):
    credentials = base64.b64encode(b"guest:guest").decode()
    headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body is not None else None
    urlopen(Request(f"{broker.management_url}/api{path}", data, headers, method=verb)).close()


def test_policies_that_lose_messages_are_told(broker, open_pubsub):
    for kind, name, definition in (("policies", "p", POLICY), ("operator-policies", "o", OPERATOR_POLICY)):
        rule = {"pattern": "^capa", "definition": definition, "apply-to": "queues"}
        manage(broker, "PUT", f"/{kind}/%2F/{name}", rule)
    pubsub, other = (
        open_pubsub(broker.url, management_url=broker.management_url, prefix=prefix)
        for prefix in ("capa.", "safe.")
    )
    other.publish("t", b"x")
    with pubsub.consumer("t", "g") as consumer:
        pubsub.publish("t", b"x", delay=1)
        arrived = consumer.receive(1, timeout=30)
        wait_until(lambda: not untold(pubsub.risks()), told=lambda: untold(pubsub.risks()))
    (risk,) = other.risks()

    assert "within minutes after the first use" in risk.event
    assert [b"x"] == [message.data for message in arrived], (
        "the policy's dead-letter target does not lead it away"
    )


def untold(risks):
    """Return the patterns of those of TOLD that are not among *risks*; the broker gathers them for a while."""
    texts = list(map(str, risks))
    patterns = [f"{said.replace('|', '[|]')}.*{NAMED.format(setting)}" for said, setting in TOLD]
    return [pattern for pattern in patterns if not any(re.search(pattern, text) for text in texts)]


def test_a_policy_loses_what_the_warning_says(broker, open_pubsub):
    pubsub = open_pubsub(broker.url, management_url=broker.management_url, prefix="full.")
    rule = {"pattern": "^full", "definition": {"max-length": 5}, "apply-to": "queues"}
    manage(broker, "PUT", "/policies/%2F/full", rule)
    pubsub.consumer("t", "g").close()
    published = pubsub.publish_many("t", [b"x"] * 10)

    assert all(result.ok for result in published)
    wait_until(lambda: pubsub.depth("t", "g") == 5, told=lambda: pubsub.depth("t", "g"))


def test_a_user_whom_the_management_refuses_is_named(broker, open_pubsub):
    manage(broker, "PUT", "/users/me", {"password": "hunter2", "tags": ""})
    manage(broker, "PUT", "/permissions/%2F/me", dict.fromkeys(("configure", "write", "read"), ".*"))
    pubsub = open_pubsub(broker.url.replace("://", "://me:hunter2@"), management_url=broker.management_url)

    with pytest.raises(
        PermissionDeniedError, match="refuses the user 'me'.*set_user_tags me manag"
    ) as refused:
        pubsub.risks()
    assert "hunter2" not in str(refused.value)


def test_a_management_that_does_not_answer_is_named(rabbitmq_url, open_pubsub):
    address = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(
        UnavailableError, match=f"management of RabbitMQ at {address} .*Correct `management_url`"
    ):
        open_pubsub(rabbitmq_url, management_url=address).risks()


def test_without_the_management_policies_are_unknown(pubsub):
    _, unknown = pubsub.risks()

    assert "of which no client is told" in unknown.event
    assert "Set `management_url`" in unknown.remedy
