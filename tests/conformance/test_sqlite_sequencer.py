from pathlib import Path

import pytest

from capa_core.components.sqlite.sequencer import SqliteSequencer
from capa_core.conformance.sequencer import Connect, SequencerConformance


class TestSqliteSequencer(SequencerConformance):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Connect:
        return lambda: SqliteSequencer(SqliteSequencer.settings_type(folder=tmp_path))
