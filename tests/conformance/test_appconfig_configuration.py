import json
import threading
from collections.abc import Iterator, Mapping

import pytest
from servers.appconfig import THREADS, AppConfigServer

from capa_core.blocks.configuration import Scope
from capa_core.components.aws.appconfig import AppConfigConfiguration, AppConfigSettings
from capa_core.conformance.configuration import ConfigurationConformance


@pytest.mark.server("appconfig")
class TestAppConfigConfiguration(ConfigurationConformance):
    """On a data service of our own, which lets clients ask again at once."""

    @pytest.fixture
    def driver(self, appconfig: AppConfigServer, aws_credentials: None) -> Iterator[AppConfigConfiguration]:
        appconfig.ignores_required = True
        self.server = appconfig
        settings = AppConfigSettings(
            endpoint_url=appconfig.url, application="app", environment="test", interval_s=0.05
        )
        driver = AppConfigConfiguration(settings)
        yield driver
        driver.close()

    def write(self, driver: AppConfigConfiguration, scope: Scope, items: Mapping[str, str]) -> None:
        names = {"app": scope.application or "app", "environment": scope.label or "test"}
        before = self.server.find((*names.values(), scope.group))
        values = {**(json.loads(before.content) if before else {}), **items}
        self.server.release(scope.group, json.dumps(values), **names)

    def write_document(self, driver: AppConfigConfiguration, scope: Scope, content: str) -> None:
        self.server.release(scope.group, content)

    def threads(self) -> set[threading.Thread]:
        """See `Suite.threads`: the server is in this process."""
        return {thread for thread in super().threads() if thread.name != THREADS}
