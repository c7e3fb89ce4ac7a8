import pytest

from capa_core.components.memory.files import MemoryFiles, MemoryFilesSettings
from capa_core.conformance.files import Connect, FilesConformance


class TestMemoryFiles(FilesConformance):
    @pytest.fixture
    def connect(self) -> Connect:
        return lambda: MemoryFiles(MemoryFilesSettings())
