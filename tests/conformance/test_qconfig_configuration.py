import threading
from collections.abc import Iterator, Mapping

import pytest
from servers.qconfig import THREADS, QConfigServer

from capa_core.blocks.configuration import Scope
from capa_core.blocks.configuration.formats import edited
from capa_core.components.qconfig.configuration import QConfigConfiguration
from capa_core.conformance.configuration import ConfigurationConformance


@pytest.mark.server("qconfig")
class TestQConfigConfiguration(ConfigurationConformance):
    """On the QConfig test server, which is one of our own."""

    @pytest.fixture
    def driver(self, qconfig: QConfigServer) -> Iterator[QConfigConfiguration]:
        self.server = qconfig
        settings = QConfigConfiguration.settings_type(url=qconfig.url, application="app", env="prod")
        driver = QConfigConfiguration(settings)
        yield driver
        driver.close()

    def write(self, driver: QConfigConfiguration, scope: Scope, items: Mapping[str, str]) -> None:
        app, name = scope.application or "app", f"{scope.group}.properties"
        before = self.server.files.get((app, name, "prod:"), (0, ""))[1]
        self.server.release(name, edited(before, ".properties", items, name), app=app)

    def write_document(self, driver: QConfigConfiguration, scope: Scope, content: str) -> None:
        self.server.release(scope.group, content)

    def threads(self) -> set[threading.Thread]:
        """See `Suite.threads`: the server is in this process."""
        return {thread for thread in super().threads() if thread.name != THREADS}
