import pytest

from capa_core.components.memory.secrets import MemorySecrets, MemorySecretsSettings
from capa_core.conformance.secrets import SecretsConformance, Stock


class TestMemorySecrets(SecretsConformance):
    @pytest.fixture
    def stock(self) -> Stock:
        driver = MemorySecrets(MemorySecretsSettings())

        def stock(secrets):
            driver.close()
            for name, value in secrets.items():
                driver.set(name, value)
            return driver

        return stock
