"""State: values by key, with etags, a time to live, transactions and waiting for changes."""

from capa_core.block import Block, Closing
from capa_core.blocks.state._portable import State
from capa_core.blocks.state.driver import (
    Delete,
    Put,
    StateDriver,
    StateFeature,
    StateItem,
    StateLimits,
    StateStatus,
)

__all__ = [
    "BLOCK",
    "Delete",
    "Put",
    "State",
    "StateDriver",
    "StateFeature",
    "StateItem",
    "StateLimits",
    "StateStatus",
]

BLOCK = Block(
    name="state",
    portable=State,
    driver=StateDriver,
    features=StateFeature,
    embedded="sqlite",
    server="redis",
    closing=Closing.STORE,
    face=("State",),
)
