"""Risks of a Redis server, by the settings that it has now."""

from __future__ import annotations

from capa_core.components.redis._client import Client
from capa_core.driver import Risk

_NO_FILE = Risk(
    "a stop or a crash of the server",
    "all that was written since its last snapshot",
    "Set appendonly to yes (`redis-cli CONFIG SET appendonly yes`, and in redis.conf).",
)
_BY_SECOND = Risk(
    "a power cut",
    "the acknowledged writes of the last one or two seconds",
    "Set appendfsync to always where each of them matters.",
)
_NEVER = Risk(
    "a power cut",
    "the acknowledged writes of the last half minute or more",
    "Set appendfsync to everysec, or to always where each of them matters.",
)
_EVICTION = Risk(
    "full memory",
    "keys with messages, state or locks, which the server removes",
    "Set maxmemory-policy to noeviction.",
)
_FAILOVER = Risk(
    "the loss of a master, whose replica takes its place",
    "the acknowledged writes that the replica had not received, usually those of the last moment",
    "No setting of Redis prevents it; min-replicas-to-write bounds the time. Where each write matters, use an engine"
    " that asks a majority, such as rabbitmq, or MemoryDB.",
)
_NAMES = ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy")
_BY_APPENDFSYNC = {"everysec": _BY_SECOND, "no": _NEVER}


def risks(client: Client) -> list[Risk]:
    """Return the risks of the servers of *client*; `[]` where they show their settings to nobody, as in many clouds."""
    found = (risk for settings in client.settings_of_servers(_NAMES) for risk in _of_one(settings))
    return list(dict.fromkeys([*found, *([_FAILOVER] if client.fails_over else [])]))


def _of_one(settings: dict[str, str]) -> list[Risk]:
    file, sync, memory, policy = (settings.get(name, "") for name in _NAMES)
    lasting = _BY_APPENDFSYNC.get(sync) if file == "yes" else _NO_FILE
    evicting = _EVICTION if memory not in ("", "0") and policy != "noeviction" else None
    return [risk for risk in (lasting, evicting) if risk is not None]
