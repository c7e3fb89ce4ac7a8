"""Risks of a Redis server, by the settings that it has now."""

from __future__ import annotations

import redis

from capa_core.components.redis._client import call_many
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
_NAMES = ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy")
_BY_APPENDFSYNC = {"everysec": _BY_SECOND, "no": _NEVER}


def risks(client: redis.Redis) -> list[Risk]:
    """Return the risks of the server of *client*; `[]` for one that shows its settings to nobody, as in many clouds."""
    answers = call_many(client, [("CONFIG", "GET", name) for name in _NAMES])
    if any(isinstance(answer, redis.exceptions.ResponseError) for answer in answers):
        return []
    file, sync, memory, policy = (answer[1].decode() if answer else "" for answer in answers)
    lasting = _BY_APPENDFSYNC.get(sync) if file == "yes" else _NO_FILE
    evicting = _EVICTION if memory not in ("", "0") and policy != "noeviction" else None
    return [risk for risk in (lasting, evicting) if risk is not None]
