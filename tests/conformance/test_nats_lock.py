from uuid import uuid4

import pytest

from capa_core.components.nats.lock import NatsLock
from capa_core.conformance.lock import Connect, LockConformance


@pytest.mark.server("nats")
class TestNatsLock(LockConformance):
    @pytest.fixture
    def connect(self, nats_url: str) -> Connect:
        settings = {"url": nats_url, "prefix": uuid4().hex}
        return lambda: NatsLock(NatsLock.settings_type(**settings))
