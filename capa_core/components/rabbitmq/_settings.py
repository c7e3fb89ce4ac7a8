"""The address of a RabbitMQ broker, and the options of its connections."""

from __future__ import annotations

from typing import Annotated

import pika
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

_LARGEST_MESSAGE = 128 * 1024**2
"""`max_message_size` of a broker that sets no other."""


def _address(url: str) -> str:
    if url.partition("://")[0] in ("amqp", "amqps"):
        try:
            pika.URLParameters(url)
        except Exception:  # noqa: BLE001 - of many types, and their texts may contain a part of the password
            url = ""
    else:
        url = ""
    if not url:
        raise PydanticCustomError(
            "amqp_url",
            "This is not an address of a RabbitMQ broker. Write amqp://[user:password@]host[:port]/virtual-host,"
            " or amqps://… for TLS, and escape special characters as %XX (the virtual host / is the empty one here)",
        )
    return url


class RabbitSettings(BaseModel):
    """The address of the broker and the options of its connections.

    Attributes:
        url: `amqp://[user:password@]host[:port]/virtual-host`, or `amqps://…` for TLS.
        other_hosts: More nodes of the cluster, each `host` or `host:port`, tried in turn when one does not answer.
        timeout_s: Seconds that one call may take, including connecting.
        heartbeat_s: Seconds between two signs of life. The broker gives the messages of a process that is paused, or
            cut off, to others after two to three of them.
        prefix: The prefix of the names of all exchanges and queues.
        max_message_bytes: The broker's `max_message_size`.
        management_url: The address of the broker's management, such as `http://host:15672`: `capa doctor` asks there,
            as the user of `url`, for policies that lose messages, of which no client is told.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_address)] = Field(default="amqp://127.0.0.1:5672", repr=False)
    other_hosts: tuple[str, ...] = ()
    timeout_s: float = Field(default=5.0, gt=0)
    heartbeat_s: int = Field(default=10, ge=1, le=60)
    prefix: str = Field(default="capa.", max_length=40)
    max_message_bytes: int = Field(default=_LARGEST_MESSAGE, ge=1024**2)
    management_url: str = Field(default="", pattern=r"^(https?://[^@]*)?$")

    def parameters(self) -> list[pika.ConnectionParameters]:
        """Return the options of a connection to each host, in the order in which they are tried."""
        first = pika.URLParameters(self.url)
        first.heartbeat = self.heartbeat_s
        first.socket_timeout = first.stack_timeout = self.timeout_s
        first.connection_attempts = 1
        return [first, *(_elsewhere(self, host) for host in self.other_hosts)]


def _elsewhere(settings: RabbitSettings, host: str) -> pika.ConnectionParameters:
    (there,) = settings.model_copy(update={"other_hosts": ()}).parameters()
    there.host, _, port = host.partition(":")
    if port:
        there.port = int(port)
    return there
