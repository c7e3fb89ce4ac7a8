from pathlib import Path

import pytest

from capa_core.components.file.files import LocalFiles, LocalFilesSettings
from capa_core.conformance.files import Connect, FilesConformance


class TestLocalFiles(FilesConformance):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Connect:
        return lambda: LocalFiles(LocalFilesSettings(path=tmp_path / "files"))
