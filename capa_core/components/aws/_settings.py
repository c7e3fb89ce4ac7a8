"""The account, region and credentials of AWS, and the options of queues."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from capa_core.secret import Secret

LARGEST_BYTES = 1024**2
"""The largest message, and the largest request, of SQS: https://docs.aws.amazon.com/AWSSimpleQueueService (quotas)."""
FOR_ATTRIBUTES_BYTES = 16 * 1024
"""The part of a message that is left for its attributes and for what a copy carries."""
LONGEST_RETENTION_S = 14 * 24 * 3600

_ADDRESS = re.compile(r"https?://[^\s/]+")
_ROLE = re.compile(r"arn:[^:]+:iam::\d*:role/\S+")


class AwsSettings(BaseModel):
    """Where the services are, and who calls them.

    Without further settings boto3's own chain finds region and credentials: environment, files, role of the machine.

    Attributes:
        region: Such as `eu-central-1`.
        endpoint_url: The address of another implementation, or of a private endpoint.
        profile: A profile of the AWS configuration files.
        role_arn: A role to assume; its credentials are renewed before they expire.
        access_key_id: With *secret_access_key*, in place of what the chain finds.
        session_token: Of temporary credentials.
        timeout_s: Seconds that one request may take; a look for messages that are not there yet may wait longer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    access_key_id: str | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None
    timeout_s: float = Field(default=5.0, gt=0)

    @field_validator("endpoint_url")
    @classmethod
    def _check_endpoint(cls, url: str | None) -> str | None:
        if url is not None and not _ADDRESS.match(url):
            raise ValueError(f"{url!r} is no address. Give it as https://host[:port].")
        return url

    @field_validator("role_arn")
    @classmethod
    def _check_role(cls, role: str | None) -> str | None:
        if role is not None and not _ROLE.match(role):
            raise ValueError(f"{role!r} is no role. Give its ARN, arn:aws:iam::ACCOUNT:role/NAME.")
        return role

    @model_validator(mode="after")
    def _check_credentials(self) -> AwsSettings:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError(
                "access_key_id and secret_access_key belong together. Give both, or neither for boto3's own chain."
            )
        return self


class QueueSettings(AwsSettings):
    """Queues of SQS, and how they are used.

    Attributes:
        prefix: The prefix of the names of all queues.
        bucket: An S3 bucket for bodies above the limit; they are refused without it.
        largest_bytes: The largest message and request that the service takes. Some partitions still have 262,144.
        retention_s: Seconds for which a new queue keeps a message that nobody handles.
        settle_s: Seconds after which every publisher knows of a new group: joining a new one takes so long. AWS needs
            one at least.
        poll_s: Seconds of one look for messages; longer is cheaper, and makes `close` wait longer.
        abandoned_s: Seconds without a sign of life after which a broadcast's queue is deleted.
    """

    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]*$", max_length=20)] = "capa-"
    bucket: str | None = None
    largest_bytes: int = Field(default=LARGEST_BYTES, ge=64 * 1024, le=LARGEST_BYTES)
    retention_s: int = Field(default=LONGEST_RETENTION_S, ge=60, le=LONGEST_RETENTION_S)
    settle_s: float = Field(default=2.0, gt=0, le=60)
    poll_s: int = Field(default=2, ge=1, le=20)
    abandoned_s: float = Field(default=60.0, ge=3)

    @property
    def is_fifo(self) -> bool:
        """Whether the queues are FIFO queues."""
        return False


class SqsSettings(QueueSettings):
    """Queues of SQS that publishers send to themselves.

    Attributes:
        fifo: Make every topic of this component a FIFO queue: messages with one key come in order, and a message with
            the id of another of the last five minutes is dropped. They are received one by one.
    """

    fifo: bool = False

    @property
    def is_fifo(self) -> bool:
        """See `QueueSettings.is_fifo`."""
        return self.fifo


class SnsSettings(QueueSettings):
    """Topics of SNS, and the queues that are subscribed to them."""
