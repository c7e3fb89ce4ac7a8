from uuid import uuid4

import pytest

from capa_core.components.nats.schedule import NatsSchedule, NatsScheduleSettings
from capa_core.conformance.schedule import LEASE_S, Connect, ScheduleConformance


@pytest.mark.server("nats")
class TestNatsSchedule(ScheduleConformance):
    @pytest.fixture
    def connect(self, nats_url: str) -> Connect:
        settings = {"url": nats_url, "prefix": uuid4().hex}
        return lambda *, lease_s=LEASE_S: NatsSchedule(NatsScheduleSettings(**settings, lease_s=lease_s))
