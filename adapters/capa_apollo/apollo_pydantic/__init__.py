"""In place of `apollo_pydantic`."""

from capa_apollo.apollo_pydantic.client import ApolloClient
from capa_apollo.apollo_pydantic.core import ApolloSettings, ApolloSettingsConfigDict, ApolloSettingsMetadata
from capa_apollo.apollo_pydantic.logger import enable_debug

__all__ = [
    "ApolloClient",
    "ApolloSettings",
    "ApolloSettingsConfigDict",
    "ApolloSettingsMetadata",
    "enable_debug",
]
