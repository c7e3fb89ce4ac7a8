"""In place of `py3_apollo`."""

from capa_apollo.py3_apollo.apollo_client import ApolloClient

__all__ = ["ApolloClient"]
