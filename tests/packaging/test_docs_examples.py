"""What the documentation shows can be copied: settings load, Python compiles."""

import re
import tomllib
from pathlib import Path

import pytest

from capa_core import Runtime

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*/*.md"))]
OF_IMPORT_MAPS = "import-map.md"


def blocks(language, pages):
    """Each fenced block of *language* on *pages*, by the name of its page and its place there."""
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [
        pytest.param(text, id=f"{page.name}-{number}")
        for page in pages
        for number, text in enumerate(fence.findall(page.read_text("utf-8")))
    ]


SETTINGS = [
    block
    for block in blocks("toml", [page for page in PAGES if page.name != OF_IMPORT_MAPS])
    if "[tool." not in block.values[0]  # of a pyproject.toml
]


@pytest.mark.parametrize("text", SETTINGS)
def test_settings_are_accepted_in_each_of_their_profiles(text, tmp_path):
    (tmp_path / "capa.toml").write_text(text)
    profiles = [None, *tomllib.loads(text).get("profiles", {})]
    files = [Runtime(start=tmp_path, profile=profile, environ={}).loaded.file for profile in profiles]

    assert [tmp_path / "capa.toml"] * len(profiles) == files


@pytest.mark.parametrize("text", blocks("python", PAGES))
def test_python_compiles(text):
    assert compile(text, "example", "exec")
