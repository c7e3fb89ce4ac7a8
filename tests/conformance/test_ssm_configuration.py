from collections.abc import Iterator
from uuid import uuid4

import pytest

from capa_core.components.aws.ssm import SsmConfiguration, SsmConfigurationSettings
from capa_core.conformance.configuration import ConfigurationConformance


@pytest.mark.server("aws")
class TestSsmConfiguration(ConfigurationConformance):
    """On moto, an emulator."""

    saves = 25

    @pytest.fixture
    def driver(self, moto_url: str, aws_credentials: None) -> Iterator[SsmConfiguration]:
        settings = SsmConfigurationSettings(
            endpoint_url=moto_url, prefix=f"/{uuid4().hex}/", interval_s=0.1, tier="Advanced"
        )
        driver = SsmConfiguration(settings)
        yield driver
        driver.close()
