"""Check the import contracts of `import_contracts.toml`, for the folders that exist.

A new adapter, component or integration is under the contracts from its first file on; no list names it. The
template's values are:

    packages        all packages that are shipped (packages_but_codemods: without the one)
    guests          the packages in adapters/ and integrations/ (guests_as_siblings: as one layer)
    libraries       the outside libraries that an engine.toml or an import map names
    owners          who may import each of them
    stands_on       an adapter and that of a library which its original depends on
"""

import json
import os
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from string import Template

from importlinter.cli import lint_imports

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / ".ci" / "import_contracts.toml"


def contracts(root: Path) -> str:
    """Return the contracts for the tree at *root*, as import-linter reads them."""
    packages = ["capa_core", *_packages(root, "*")]
    guests = [*_packages(root, "adapters"), *_packages(root, "integrations")]
    owned = sorted(set(_owned(root)))
    values = {
        "packages": packages,
        "packages_but_codemods": [name for name in packages if name != "capa_codemods"],
        "guests": guests,
        "guests_as_siblings": " | ".join(guests),
        "libraries": sorted({library for library, _ in owned}),
        "stands_on": [f"{upper}.** -> {lower}.**" for upper, lower in sorted(set(_stands_on(root)))],
        "owners": [
            f"{importer} -> {library}"
            for library, owner in owned
            if owner.startswith("capa_core.") or owner in packages
            for importer in (owner, f"{owner}.**")
        ],
    }
    filled = {name: json.dumps(value) for name, value in values.items()}
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(filled)


def _packages(root: Path, folder: str) -> list[str]:
    """Return the names of the packages in the plain folders that *folder* matches."""
    return sorted(path.parent.name for path in root.glob(f"{folder}/capa_*/__init__.py"))


def _owned(root: Path) -> Iterator[tuple[str, str]]:
    """Yield each outside library with the package or component that may import it."""
    for path in root.glob("capa_core/components/*/engine.toml"):
        for library in _table(path).get("libraries", ()):
            yield library, f"capa_core.components.{path.parent.name}"
    for sdk in _sdks(root):
        for library in sdk["roots"]:
            yield library, sdk["package"]
    for upper, lower in _stands_on(root):
        for sdk in _sdks(root):
            if sdk["package"] == lower:
                yield from ((library, upper) for library in sdk["roots"])


def _stands_on(root: Path) -> Iterator[tuple[str, str]]:
    """Yield each adapter with the adapter of a library that its import map names under `dependencies`."""
    adapters = {library: sdk["package"] for sdk in _sdks(root) for library in sdk["roots"]}
    for sdk in _sdks(root):
        for library in sdk.get("dependencies", ()):
            if library in adapters:
                yield sdk["package"], adapters[library]


def _sdks(root: Path) -> Iterator[dict]:
    """Yield what each import map says of its SDK."""
    folders = ("adapters/*/import_map.toml", "migration/capa_migration/rewrite/scan/sdks/*.toml")
    for path in (path for folder in folders for path in root.glob(folder)):
        yield _table(path)["sdk"]


def _table(path: Path) -> dict:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def main() -> int:
    """Check the contracts, print what import-linter says, and return 1 if one is broken."""
    os.chdir(ROOT)
    filled = ROOT / "build" / "import_contracts.toml"
    filled.parent.mkdir(exist_ok=True)
    filled.write_text(contracts(ROOT), encoding="utf-8")
    return lint_imports(config_filename=str(filled), no_logo=True)


if __name__ == "__main__":
    sys.exit(main())
