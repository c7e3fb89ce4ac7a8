"""In place of `apollocfg`."""

from capa_apollo.apollocfg._factory import create_config_manager, create_config_manager_from_env
from capa_apollo.apollocfg.client import ApolloClient, ChangeCallback, ResolvedAssertion
from capa_apollo.apollocfg.errors import (
    ApolloError,
    ApolloProtocolError,
    ConfigServiceUnavailable,
    RequiredKeysMissing,
    StartupAssertionFailed,
)
from capa_apollo.apollocfg.manager import ConfigManager

__all__ = [
    "ApolloClient",
    "ApolloError",
    "ApolloProtocolError",
    "ChangeCallback",
    "ConfigManager",
    "ConfigServiceUnavailable",
    "RequiredKeysMissing",
    "ResolvedAssertion",
    "StartupAssertionFailed",
    "__version__",
    "create_config_manager",
    "create_config_manager_from_env",
]

__version__ = "0.2.0"
"""The version of the original whose clients these are."""
