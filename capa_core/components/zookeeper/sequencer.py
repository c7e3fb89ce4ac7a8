"""Sequences in ZooKeeper, over its state."""

from __future__ import annotations

from capa_core.blocks.sequencer.over_state import SequencerOverState
from capa_core.components.zookeeper.state import ZookeeperState, ZookeeperStateSettings


class ZookeeperSequencerSettings(ZookeeperStateSettings):
    """The servers of the ensemble, and the folder of the nodes."""

    prefix: str = "/capa/sequencer"


class ZookeeperSequencer(SequencerOverState[ZookeeperSequencerSettings]):
    """The last number of each name as decimal text at `<prefix>/k<name>`."""

    settings_type = ZookeeperSequencerSettings
    state_type = ZookeeperState
