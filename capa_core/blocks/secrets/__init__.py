"""Secrets: read them by name, as a type that does not print."""

from capa_core.block import Block, Closing
from capa_core.blocks.secrets._portable import Secrets
from capa_core.blocks.secrets.driver import SecretsDriver, SecretsFeature, SecretsLimits
from capa_core.secret import Secret

__all__ = ["BLOCK", "Secret", "Secrets", "SecretsDriver", "SecretsFeature", "SecretsLimits"]

BLOCK = Block(
    name="secrets",
    portable=Secrets,
    driver=SecretsDriver,
    features=SecretsFeature,
    embedded="file",
    closing=Closing.SETTINGS,
    face=("Secret", "Secrets"),
)
