"""In place of `apollo_python.apollo_client`, whose client is py3-apollo-client's, except for documents."""

from __future__ import annotations

from typing import Any

from capa_apollo.py3_apollo.apollo_client import (
    CONFIGURATIONS,
    CONTENT,
    NAMESPACE_NAME,
    NOTIFICATION_ID,
    RELEASE_KEY,
)
from capa_apollo.py3_apollo.apollo_client import ApolloClient as Py3ApolloClient
from capa_core.blocks.configuration import formats

__all__ = ["CONFIGURATIONS", "CONTENT", "NAMESPACE_NAME", "NOTIFICATION_ID", "RELEASE_KEY", "ApolloClient"]


class ApolloClient(Py3ApolloClient):
    """The constructor, the methods and the attributes of the original; values come from Capa.

    Documents of every kind are parsed as YAML, of which JSON is a part, and read by dotted keys.
    """

    @staticmethod
    def _as_cached(namespace: str, held: dict[str, str]) -> dict[str, Any]:
        if formats.suffix_of(namespace) and CONTENT in held:
            return {CONFIGURATIONS: formats.tree(held[CONTENT], ".yaml", namespace)}
        return {CONFIGURATIONS: held}
