"""Conformance of schedule drivers, tested over the portable type and by the driver's own calls.

    class TestMySchedule(ScheduleConformance):
        @pytest.fixture
        def connect(self, my_server):
            return lambda *, lease_s=LEASE_S: MySchedule(MySettings(url=my_server.url, lease_s=lease_s))

Declared abilities are measured in both directions: those that a driver has are tested, and the others must be
missing.
"""

from __future__ import annotations

from capa_core.conformance._contract import ContractPromises
from capa_core.conformance._schedule.leading import LeadingPromises
from capa_core.conformance._schedule.life import LifePromises
from capa_core.conformance._schedule.running import RunningPromises
from capa_core.conformance._schedule.storing import StoringPromises
from capa_core.conformance._schedule.suite import LEASE_S, Connect

__all__ = ["LEASE_S", "Connect", "ScheduleConformance"]


class ScheduleConformance(
    StoringPromises,
    RunningPromises,
    LeadingPromises,
    LifePromises,
    ContractPromises,
):
    """The promises of `Schedule` and `ScheduleDriver`. Override the fixture `connect`."""
