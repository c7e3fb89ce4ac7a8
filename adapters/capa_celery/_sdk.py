# Generated from import_map.toml by `python -m capa_core.shims.generate`: change it there.
"""The SDK as its import map declares it."""

from capa_core.shims import Sdk

SDK = Sdk(
    package="capa_celery",
    name="celery",
    extra="celery",
    root="celery",
    versions=">=5.3.6,<5.8",
    dependencies={"kombu": ">=5.3.4,<5.8"},
    sides=("capa", "legacy"),
    settings="capa_celery._settings:CelerySettings",
    backlog="capa_celery._backlog:read",
)
