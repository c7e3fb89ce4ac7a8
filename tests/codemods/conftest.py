"""Import maps of the tests' own, and a way to run the rules over one text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from rewrite_safety.plans import BEFORE

from capa_codemods.findings import Outcome
from capa_codemods.pipeline.rewrite import Rewrite
from capa_codemods.project import Project
from capa_codemods.rules import all_rules
from capa_codemods.sdks.import_map_file import read_import_map
from capa_codemods.sdks.names import Names
from capa_codemods.write.journal import Journal
from capa_codemods.write.splice import splice

MAPS = sorted((Path(__file__).parent / "maps").glob("*.toml"))


class Rewritten(NamedTuple):
    """The result for one text."""

    text: bytes
    outcome: Outcome

    @property
    def messages(self) -> list[str]:
        return [finding.message for finding in self.outcome.findings]


Rewriting = Callable[..., Rewritten]


@pytest.fixture(scope="session")
def names() -> Names:
    return Names(read_import_map(str(path)) for path in MAPS)


@pytest.fixture
def rewritten(names: Names, tmp_path: Path) -> Rewriting:
    """Rewrite one text, twice: the second time must change nothing."""

    def run(
        source: bytes | str, path: str = "pkg/module.py", files: dict[str, str] | None = None
    ) -> Rewritten:
        data = source.encode() if isinstance(source, str) else source
        contents = {path: data, **{name: text.encode() for name, text in (files or {}).items()}}
        for name, content in contents.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        rewrite = Rewrite(Project(str(tmp_path), names, [path, *(files or {})]), all_rules())
        outcome = rewrite.examine_data(path, data)
        text = splice(data, outcome.edits)
        assert rewrite.examine_data(path, text).edits == ()
        return Rewritten(text, outcome)

    return run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree of one file, `a.py`, before it is rewritten."""
    (tmp_path / "a.py").write_bytes(BEFORE)
    return tmp_path


@pytest.fixture
def journal(root: Path) -> Journal:
    return Journal(str(root))
