from collections.abc import Iterator

import pytest

from capa_core.blocks.invocation import Invocation
from capa_core.call import Policy
from capa_core.components.memory.invocation import MemoryInvocation, MemoryInvocationSettings
from capa_core.conformance.invocation import InvocationConformance, test_service


class TestMemoryInvocation(InvocationConformance):
    @pytest.fixture(params=["service", "wsgi"])
    def driver(self, request: pytest.FixtureRequest) -> Iterator[MemoryInvocation]:
        driver = MemoryInvocation(MemoryInvocationSettings(service="conformance"))
        driver.attach(test_service() if request.param == "service" else test_service().wsgi)
        yield driver

    @pytest.fixture
    def unreachable(self) -> Invocation:
        driver = MemoryInvocation(MemoryInvocationSettings(service="gone"))
        return Invocation(driver, name="gone", policy=Policy(retries=1))
