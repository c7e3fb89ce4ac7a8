from collections.abc import Iterator

import pytest

from capa_core.blocks.invocation import Invocation
from capa_core.call import Policy
from capa_core.components.http.invocation import HttpInvocation, HttpInvocationSettings
from capa_core.conformance.invocation import InvocationConformance, test_service


class TestHttpInvocation(InvocationConformance):
    @pytest.fixture
    def driver(self) -> Iterator[HttpInvocation]:
        served = test_service().serve()
        yield HttpInvocation(HttpInvocationSettings(url=(served.url,)))
        served.close()

    @pytest.fixture
    def unreachable(self) -> Invocation:
        driver = HttpInvocation(HttpInvocationSettings(url=("http://127.0.0.1:1",)))
        return Invocation(driver, name="gone", policy=Policy(retries=1))
