"""Conformance of drivers of files, tested over the portable type.

    class TestMyFiles(FilesConformance):
        @pytest.fixture
        def connect(self, my_server):
            return lambda: MyFiles(MySettings(url=my_server.url))

Declared abilities are measured in both directions: those that a driver has are tested, and the others must be
missing.
"""

from __future__ import annotations

from capa_core.conformance._contract import ContractPromises
from capa_core.conformance._files.addresses import AddressPromises
from capa_core.conformance._files.changes import ChangePromises
from capa_core.conformance._files.contents import ContentPromises
from capa_core.conformance._files.keys import KeyPromises
from capa_core.conformance._files.life import LifePromises
from capa_core.conformance._files.listings import ListingPromises
from capa_core.conformance._files.metadata import MetadataPromises
from capa_core.conformance._files.streams import StreamPromises
from capa_core.conformance._files.suite import Connect

__all__ = ["Connect", "FilesConformance"]


class FilesConformance(
    ContentPromises,
    StreamPromises,
    MetadataPromises,
    KeyPromises,
    ListingPromises,
    ChangePromises,
    AddressPromises,
    LifePromises,
    ContractPromises,
):
    """The promises of `Files` and `FilesDriver`. Override the fixture `connect`."""
