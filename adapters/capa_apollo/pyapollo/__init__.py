"""In place of `pyapollo` and `pyapollos`: filamoon's client, and BruceWW's and apollo-client3's that grew from it."""

from capa_apollo.pyapollo.apollo_client import ApolloClient

__all__ = ["ApolloClient"]
