"""An SDK as its adapter's import map declares it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ANY = "any"
"""All versions of the original are supported."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """The `[sdk]` table of an import map, which `capa_core.shims.generate` writes into `_sdk.py` of the adapter.

    Reading the table when the adapter is imported would cost the import of a TOML parser.

    Attributes:
        package: The adapter's package, such as `capa_requests`.
        name: The SDK, which is also the adapter's table in capa.toml: `[adapters.<name>]`.
        extra: The extra of `capa-core` that installs adapter and original.
        root: The original's module.
        versions: Which versions of the original are supported, such as `>=2.32.3,<3`; `any` for all.
        dependencies: Which versions of libraries below the original the adapter needs, by module.
        sides: The sides that can serve its calls.
        settings: The model of the adapter's table, as `module:class`.
        backlog: The reader of the messages in a broker of the original, as `module:function`; `""` for none.
    """

    package: str
    name: str
    extra: str
    root: str
    versions: str = ANY
    dependencies: Mapping[str, str] = field(default_factory=dict)
    sides: tuple[str, ...] = ("capa",)
    settings: str = "capa_core.shims.settings:AdapterSettings"
    backlog: str = ""
