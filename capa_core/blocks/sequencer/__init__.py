"""Sequencer: numbers by name that only grow, for ids, invoices and versions."""

from capa_core.block import Block, Closing
from capa_core.blocks.sequencer._portable import Sequencer
from capa_core.blocks.sequencer.driver import (
    SequencerDriver,
    SequencerFeature,
    SequencerLimits,
    SequenceStatus,
)

__all__ = ["BLOCK", "SequenceStatus", "Sequencer", "SequencerDriver", "SequencerFeature", "SequencerLimits"]

BLOCK = Block(
    name="sequencer",
    portable=Sequencer,
    driver=SequencerDriver,
    features=SequencerFeature,
    embedded="sqlite",
    server="redis",
    closing=Closing.STORE,
    face=("Sequencer",),
)
