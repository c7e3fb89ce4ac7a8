from uuid import uuid4

import pytest

from capa_core.components.nats.state import NatsState
from capa_core.conformance.state import Connect, StateConformance


@pytest.mark.server("nats")
class TestNatsState(StateConformance):
    @pytest.fixture
    def connect(self, nats_url: str) -> Connect:
        settings = {"url": nats_url, "prefix": uuid4().hex}
        return lambda: NatsState(NatsState.settings_type(**settings))
