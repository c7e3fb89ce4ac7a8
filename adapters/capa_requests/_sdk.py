# Generated from import_map.toml by `python -m capa_core.shims.generate`: change it there.
"""The SDK as its import map declares it."""

from capa_core.shims import Sdk

SDK = Sdk(
    package="capa_requests",
    name="requests",
    extra="requests",
    root="requests",
    versions=">=2.25,<3",
    dependencies={"urllib3": ">=1.26"},
    sides=("capa", "legacy"),
    settings="capa_requests._settings_table:RequestsSettings",
)
