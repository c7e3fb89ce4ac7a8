from collections.abc import Iterator

import pytest
from servers.apollo import THREADS

from capa_core.components.apollo.configuration import ApolloConfiguration, ApolloConfigurationSettings
from capa_core.conformance.configuration import ConfigurationConformance


class TestApolloConfiguration(ConfigurationConformance):
    """On the Apollo test server, which is one of our own."""

    @pytest.fixture
    def driver(self, apollo) -> Iterator[ApolloConfiguration]:
        for app in ("app", "shop", "bank"):
            apollo.store.create(app, "default", "application")
        apollo.longest_value = 400_000
        settings = ApolloConfigurationSettings(
            url=apollo.url, app_id="app", portal=apollo.url, token=apollo.token
        )
        driver = ApolloConfiguration(settings)
        yield driver
        driver.close()

    def threads(self):
        return {thread for thread in super().threads() if thread.name != THREADS}
