"""Sequences in etcd, over its state."""

from __future__ import annotations

from capa_core.blocks.sequencer.over_state import SequencerOverState
from capa_core.components.etcd.state import EtcdState, EtcdStateSettings


class EtcdSequencerSettings(EtcdStateSettings):
    """The members of the cluster, and the prefix of the keys."""

    prefix: str = "capa/sequencer/"


class EtcdSequencer(SequencerOverState[EtcdSequencerSettings]):
    """The last number of each name as decimal text at `<prefix><name>`."""

    settings_type = EtcdSequencerSettings
    state_type = EtcdState
