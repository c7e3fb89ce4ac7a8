"""The conformance suite of pub/sub drivers, as tests over the portable type.

    class TestMyPubSub(PubSubConformance):
        @pytest.fixture
        def driver(self):
            driver = MyPubSub(MyPubSubSettings(url=…))
            yield driver
            driver.close()

It measures the declarations of the driver: an ability that is not absent must work, an absent one must be
refused. A driver that declares SHARED must also serve several instances and processes with the same settings.
"""

from __future__ import annotations

from capa_core.conformance._contract import ContractPromises
from capa_core.conformance._pubsub.abilities import AbilityPromises
from capa_core.conformance._pubsub.groups import GroupPromises
from capa_core.conformance._pubsub.inspecting import InspectingPromises
from capa_core.conformance._pubsub.leases import LeasePromises
from capa_core.conformance._pubsub.limits import LimitPromises
from capa_core.conformance._pubsub.publishing import PublishingPromises
from capa_core.conformance._pubsub.subscribing import SubscribingPromises


class PubSubConformance(
    PublishingPromises,
    LeasePromises,
    GroupPromises,
    AbilityPromises,
    SubscribingPromises,
    LimitPromises,
    InspectingPromises,
    ContractPromises,
):
    """The promises of `PubSub` and `PubSubDriver`. Override the fixture `driver`."""
