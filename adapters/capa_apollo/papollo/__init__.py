"""In place of `papollo`."""

from capa_apollo.papollo.async_client import AsyncApollo
from capa_apollo.papollo.client import Apollo
from capa_apollo.papollo.exceptions import ApolloError

__all__ = ["Apollo", "ApolloError", "AsyncApollo"]
