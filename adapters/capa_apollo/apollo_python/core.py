"""In place of `apollo_python.core`, an earlier form of the client."""

from __future__ import annotations

from typing import ClassVar

from capa_apollo.apollo_python import apollo_client
from capa_apollo.apollo_python.apollo_client import (
    CONFIGURATIONS,
    CONTENT,
    NAMESPACE_NAME,
    NOTIFICATION_ID,
    RELEASE_KEY,
)

__all__ = ["CONFIGURATIONS", "CONTENT", "NAMESPACE_NAME", "NOTIFICATION_ID", "RELEASE_KEY", "ApolloClient"]


class ApolloClient(apollo_client.ApolloClient):
    """The client of `apollo_python`, but the environment has the appId in `APPID`, and no `ENV` or `LOG_LEVEL`."""

    _VARIABLES: ClassVar = {"app_id": "APPID"}
