"""The conformance suite of log drivers, as tests over the portable type.

    class TestMyLog(LogConformance):
        @pytest.fixture
        def driver(self):
            driver = MyLog(MyLogSettings(url=…))
            yield driver
            driver.close()

New topics must have at least 2 partitions. A driver that declares SHARED must also serve several instances and
processes with the same settings. An ability that is declared is measured, an absent one must be refused.
"""

from __future__ import annotations

from capa_core.conformance._contract import ContractPromises
from capa_core.conformance._log.appending import AppendingPromises
from capa_core.conformance._log.groups import GroupPromises
from capa_core.conformance._log.limits import LimitPromises
from capa_core.conformance._log.reading import ReadingPromises
from capa_core.conformance._log.sharing import SharingPromises


class LogConformance(
    AppendingPromises, ReadingPromises, GroupPromises, SharingPromises, LimitPromises, ContractPromises
):
    """The promises of `Log` and `LogDriver`. Override the fixture `driver`."""
