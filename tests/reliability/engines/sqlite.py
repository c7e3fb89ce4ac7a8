"""The embedded engine."""

from reliability.engine import Engine

_NO_SERVER = "it has no server"

ENGINE = Engine(
    title="SQLite",
    conditions="as shipped: WAL, each commit synced (`synchronous = FULL`)",
    settings=lambda _port, folder: {"folder": str(folder / "capa")},
    not_run={
        "broker-killed": _NO_SERVER,
        "connection-cut": _NO_SERVER,
        "black-hole": _NO_SERVER,
    },
    disk_mb=8,
)
