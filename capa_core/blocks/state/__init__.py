"""Keep values by key: with etags, a time to live, transactions, and a way to wait for a change."""

from capa_core.blocks.state._portable import State
from capa_core.blocks.state.driver import Delete, Put, StateDriver, StateFeature, StateItem

__all__ = ["Delete", "Put", "State", "StateDriver", "StateFeature", "StateItem"]
