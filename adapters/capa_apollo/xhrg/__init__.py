"""In place of `apollo` (xhrg's client, and apollo-client-python, which grew from it) and of `apollo_client`."""

from capa_apollo.xhrg.apollo_client import ApolloClient

__all__ = ["ApolloClient"]
