"""The header of a script that lists its requirements (PEP 723): TOML in comments."""

from __future__ import annotations

import tomllib

from capa_codemods.manifests.toml_manifest import UV_CONSTRAINTS, TomlManifest
from capa_codemods.read.document import Document
from capa_codemods.sdks.names import Names
from capa_codemods.sdks.word_search import search_for

_BEGIN = "# /// script"
_END = "# ///"
_has_header = search_for([_BEGIN.encode()])


class ScriptHeader(TomlManifest):
    """A script. One whose header cannot be read, or that has none, requires nothing."""

    suffixes = (".py", ".pyw")
    is_python = True
    reads_scripts = True
    names_sdk = True
    list_places = ("dependencies",)
    constraint_places = UV_CONSTRAINTS
    python_places = ("requires-python",)

    def __init__(self, path: str, data: bytes) -> None:
        """Read the header of *data*."""
        Document.__init__(self, path, data)
        self.source = data.decode(errors="replace")
        self.text = _header(self.source)
        try:
            self.tables = tomllib.loads(self.text)
        except (ValueError, RecursionError):
            self.tables = {}
        if "\ufffd" in self.source:  # in another encoding, where places would have to be counted again
            self.tables = {}

    @classmethod
    def claims(cls, path: str) -> bool:
        """Return whether *path* may be a script."""
        return path.endswith(cls.suffixes)

    @classmethod
    def may_concern(cls, data: bytes, names: Names) -> bool:
        """Return whether *data* has a header and may name a distribution of an SDK."""
        # Most files of a tree name no SDK in their code, and need not require one.
        return (
            names.sieve.names(data) and _has_header(data) and names.may_require(data.decode(errors="replace"))
        )


def _header(source: str) -> str:
    """Return *source* with blanks for all but the TOML of its header, which stays where it is."""
    lines = source.split("\n")
    plain = [line.rstrip("\r") for line in lines]
    begin = plain.index(_BEGIN) if _BEGIN in plain else len(plain)
    end = next((at for at in range(begin, len(plain)) if not plain[at].startswith("#")), len(plain))
    inside = range(begin + 1, max((at for at in range(begin, end) if plain[at] == _END), default=begin))
    return "\n".join(" " + line[1:] if at in inside else " " * len(line) for at, line in enumerate(lines))
