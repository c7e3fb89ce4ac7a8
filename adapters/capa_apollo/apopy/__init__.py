"""In place of `apopy`."""

from capa_apollo.apopy._client import Client, Configurations, NamespaceType

__all__ = ["Client", "Configurations", "NamespaceType"]
