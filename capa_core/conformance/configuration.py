"""The conformance suite of configuration drivers, as tests on the driver and over the portable type.

    class TestMyConfiguration(ConfigurationConformance):
        @pytest.fixture
        def driver(self, my_url):
            yield MyConfiguration(MySettings(url=my_url, prefix=fresh_name()))

Each test wants a driver over an empty place of its own. A driver without SAVE also overrides `write` and
`write_document`, which put things into the engine some other way.
"""

from __future__ import annotations

from capa_core.conformance._configuration.inspecting import InspectingPromises
from capa_core.conformance._configuration.limits import LimitPromises
from capa_core.conformance._configuration.outages import OutagesPromises
from capa_core.conformance._configuration.reading import ReadingPromises
from capa_core.conformance._configuration.variants import VariantsPromises
from capa_core.conformance._configuration.watching import WatchingPromises
from capa_core.conformance._configuration.writing import WritingPromises
from capa_core.conformance._contract import ContractPromises


class ConfigurationConformance(
    ReadingPromises,
    VariantsPromises,
    WritingPromises,
    WatchingPromises,
    OutagesPromises,
    LimitPromises,
    InspectingPromises,
    ContractPromises,
):
    """The promises of `Configuration` and `ConfigurationDriver`. Override the fixture `driver`."""
