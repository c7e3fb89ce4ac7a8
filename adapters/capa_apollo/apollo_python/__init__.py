"""In place of `apollo_python`."""

from capa_apollo.apollo_python.apollo_client import (
    CONFIGURATIONS,
    CONTENT,
    NAMESPACE_NAME,
    NOTIFICATION_ID,
    RELEASE_KEY,
    ApolloClient,
)

__all__ = ["CONFIGURATIONS", "CONTENT", "NAMESPACE_NAME", "NOTIFICATION_ID", "RELEASE_KEY", "ApolloClient"]
