"""Configuration: live values and documents, in groups, with variants."""

from capa_core.block import Block, Closing
from capa_core.blocks.configuration._events import Change, ChangeEvent, ChangeKind, Listener, Subscription
from capa_core.blocks.configuration._portable import Configuration
from capa_core.blocks.configuration._view import ConfigurationView
from capa_core.blocks.configuration.driver import (
    ConfigurationDriver,
    ConfigurationFeature,
    ConfigurationItem,
    ConfigurationLimits,
    Edit,
    GroupStatus,
    Revision,
    Scope,
    Snapshot,
)

__all__ = [
    "BLOCK",
    "Change",
    "ChangeEvent",
    "ChangeKind",
    "Configuration",
    "ConfigurationDriver",
    "ConfigurationFeature",
    "ConfigurationItem",
    "ConfigurationLimits",
    "ConfigurationView",
    "Edit",
    "GroupStatus",
    "Listener",
    "Revision",
    "Scope",
    "Snapshot",
    "Subscription",
]

BLOCK = Block(
    name="configuration",
    portable=Configuration,
    driver=ConfigurationDriver,
    features=ConfigurationFeature,
    embedded="file",
    closing=Closing.SETTINGS,
    face=("Configuration",),
    keeps_files=True,
)
