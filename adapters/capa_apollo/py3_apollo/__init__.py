"""In place of `py3_apollo`."""

from capa_apollo.py3_apollo.apollo_client import (
    CONFIGURATIONS,
    CONTENT,
    NAMESPACE_NAME,
    NOTIFICATION_ID,
    RELEASE_KEY,
    ApolloClient,
)

__all__ = ["CONFIGURATIONS", "CONTENT", "NAMESPACE_NAME", "NOTIFICATION_ID", "RELEASE_KEY", "ApolloClient"]
