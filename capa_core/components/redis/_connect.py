"""Choice of the client by the settings."""

from __future__ import annotations

from capa_core.components.redis._client import Client
from capa_core.components.redis._cluster import ClusterClient
from capa_core.components.redis._server import ServerClient
from capa_core.components.redis._settings import RedisSettings


def connect(settings: RedisSettings) -> Client:
    """Return a client for the server, the service or the cluster of *settings*; it connects at the first use."""
    return ClusterClient(settings) if settings.cluster else ServerClient(settings)
