"""Sequences in a bucket of NATS KV, over its state."""

from __future__ import annotations

from capa_core.blocks.sequencer.over_state import SequencerOverState
from capa_core.components.nats._settings import NatsSettings
from capa_core.components.nats.state import NatsState


class NatsSequencerSettings(NatsSettings):
    """The addresses of the servers, and the bucket `<prefix>-state`."""

    prefix: str = "capa-sequencer"


class NatsSequencer(SequencerOverState[NatsSequencerSettings]):
    """The last number of each name as decimal text, which a write replaces if its revision is still the one read."""

    settings_type = NatsSequencerSettings
    state_type = NatsState
