"""In place of `apollo_config` (apollo-config-client)."""

from capa_apollo.apollo_config._factory import create_config_manager, create_config_manager_from_env
from capa_apollo.apollo_config.client import ApolloClient
from capa_apollo.apollo_config.manager import ConfigManager

__all__ = [
    "ApolloClient",
    "ConfigManager",
    "__version__",
    "create_config_manager",
    "create_config_manager_from_env",
]

__version__ = "0.1.2"
"""The version of the original whose clients these are."""
