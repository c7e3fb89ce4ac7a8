"""Read secrets, as a type that does not print."""

from capa_core.blocks.secrets._portable import Secrets
from capa_core.blocks.secrets.driver import SecretsDriver, SecretsFeature
from capa_core.secret import Secret

__all__ = ["Secret", "Secrets", "SecretsDriver", "SecretsFeature"]
