from uuid import uuid4

import pytest

from capa_core.components.nats.sequencer import NatsSequencer
from capa_core.conformance.sequencer import SequencerConformance


@pytest.mark.server("nats")
class TestNatsSequencer(SequencerConformance):
    @pytest.fixture
    def connect(self, nats_url: str) -> object:
        settings = {"url": nats_url, "prefix": uuid4().hex}
        return lambda: NatsSequencer(NatsSequencer.settings_type(**settings))
