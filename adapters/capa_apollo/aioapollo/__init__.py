"""In place of `aioapollo`."""

from capa_apollo.aioapollo._client import ApolloClient, ApolloConfig, ConfigMode

__all__ = ["ApolloClient", "ApolloConfig", "ConfigMode"]
