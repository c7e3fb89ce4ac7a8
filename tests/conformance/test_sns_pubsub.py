"""Conformance of SNS pub/sub, with queues of SQS, on moto, an emulator."""

from collections.abc import Iterator
from uuid import uuid4

import boto3
import pytest

from capa_core.components.aws.sns import SnsPubSub
from capa_core.conformance.pubsub import PubSubConformance


@pytest.mark.server("aws")
@pytest.mark.timeout(60, func_only=True)  # the set-up starts the server, which has a limit of its own
class TestSnsPubSub(PubSubConformance):
    @pytest.fixture
    def driver(self, moto_url: str, aws_credentials: None) -> Iterator[SnsPubSub]:
        """Yield a driver whose topics no other test sees, with a bucket for bodies above the limit."""
        prefix = uuid4().hex[:12]
        boto3.client("s3", endpoint_url=moto_url).create_bucket(Bucket=prefix)
        own = {"prefix": f"{prefix}-", "settle_s": 0.05, "abandoned_s": 3, "poll_s": 1, "bucket": prefix}
        driver = SnsPubSub(SnsPubSub.settings_type(endpoint_url=moto_url, **own))
        yield driver
        driver.close()
