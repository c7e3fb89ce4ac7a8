"""Conformance of SQS pub/sub: on ElasticMQ, an independent implementation, and in part on moto, an emulator."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from capa_core.components.aws.sqs import SqsPubSub
from capa_core.conformance._pubsub.abilities import AbilityPromises
from capa_core.conformance._pubsub.leases import LeasePromises
from capa_core.conformance._pubsub.limits import LimitPromises
from capa_core.conformance._pubsub.publishing import PublishingPromises
from capa_core.conformance.pubsub import PubSubConformance

pytestmark = pytest.mark.usefixtures("aws_credentials")


def opened(url: str, **settings: Any) -> SqsPubSub:
    """Return a driver whose queues no other test sees, and which waits for no publishers but those of this machine."""
    own = {"prefix": f"{uuid4().hex[:12]}-", "settle_s": 0.05, "abandoned_s": 3, "poll_s": 1}
    return SqsPubSub(SqsPubSub.settings_type(endpoint_url=url, **own, **settings))


@pytest.mark.server("elasticmq")
@pytest.mark.timeout(60, func_only=True)  # the set-up starts the server, which has a limit of its own
class TestSqsPubSub(PubSubConformance):
    @pytest.fixture
    def driver(self, elasticmq_url: str) -> Iterator[SqsPubSub]:
        driver = opened(elasticmq_url)
        yield driver
        driver.close()


@pytest.mark.server("elasticmq")
@pytest.mark.timeout(60, func_only=True)
class TestSqsFifo(AbilityPromises, LeasePromises):
    """The promises that FIFO queues keep in another way: order, delays, and counts."""

    @pytest.fixture
    def driver(self, elasticmq_url: str) -> Iterator[SqsPubSub]:
        driver = opened(elasticmq_url, fifo=True)
        yield driver
        driver.close()


@pytest.mark.server("aws")
@pytest.mark.timeout(60, func_only=True)
class TestSqsPubSubOnMoto(PublishingPromises, LimitPromises, LeasePromises):
    """The promises that the two may understand in two ways; the suite of SNS has all of them over queues of moto."""

    @pytest.fixture
    def driver(self, moto_url: str) -> Iterator[SqsPubSub]:
        driver = opened(moto_url)
        yield driver
        driver.close()
