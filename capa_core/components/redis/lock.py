"""Locks in one Redis server: one script for each call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from capa_core.abilities import NATIVE, approximate
from capa_core.blocks.lock.driver import LockDriver, LockFeature, LockStatus
from capa_core.components.redis._client import Script, glob_escaped
from capa_core.components.redis._driver import RedisDriver
from capa_core.components.redis._settings import RedisSettings

# After a loss of data the tokens begin above all earlier ones, since at most one is issued per millisecond. Numbers
# are passed as text, because Lua would write them as `1.7e+12`.
_ACQUIRE = Script.of(r"""
-- lock, counter; owner, lease_ms -> the token, nil if another holds it, or 'foreign' if no owner of ours ever ends it
local held = redis.call('GET', KEYS[1])
if held then
    local token, owner = string.match(held, '^(%d+):(.*)$')
    if not token or (owner ~= ARGV[1] and redis.call('PTTL', KEYS[1]) == -1) then
        return 'foreign'
    end
    if owner ~= ARGV[1] then
        return nil
    end
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return token
end
if redis.call('EXISTS', KEYS[2]) == 0 then
    local now = redis.call('TIME')
    redis.call('SET', KEYS[2], now[1] .. string.format('%03d', math.floor(now[2] / 1000)))
end
redis.call('INCR', KEYS[2])
local token = redis.call('GET', KEYS[2])
redis.call('SET', KEYS[1], token .. ':' .. ARGV[1], 'PX', ARGV[2])
return token
""")

_IF_OURS = r"""
-- lock; owner, lease_ms -> 1, or 0 if the owner does not hold it
local held = redis.call('GET', KEYS[1])
if not held or string.match(held, '^%d+:(.*)$') ~= ARGV[1] then
    return 0
end
"""
_RENEW = Script.of(_IF_OURS + "return redis.call('PEXPIRE', KEYS[1], ARGV[2])")
_RELEASE = Script.of(_IF_OURS + "return redis.call('DEL', KEYS[1])")

_PAGE = 500
_HELD = re.compile(rb"\d+:")
_NEVER_ENDS = -1


class RedisLockSettings(RedisSettings):
    """The address of the server, and the prefix of its keys."""

    prefix: str = "capa:lock:"


class RedisLock(RedisDriver[RedisLockSettings], LockDriver[RedisLockSettings]):
    """Locks as keys `<prefix>{<name>}` with the value `<token>:<owner>` and the lease as expiry.

    `<prefix>{<name>}:token` counts the tokens and never expires. Braces and percent signs in names are written as
    `%7B`, `%7D` and `%25`, so that a cluster keeps both keys together.

    If a replica is promoted before it has received an acquisition, there can be a second holder with the same token.
    If that matters, require replicas (`min-replicas-to-write`) or use another engine.
    """

    settings_type = RedisLockSettings
    features = {
        **dict.fromkeys(LockFeature, NATIVE),
        LockFeature.DURABLE: approximate("as the server's appendonly and appendfsync settings define"),
    }

    def __init__(self, settings: RedisLockSettings) -> None:
        super().__init__(settings)

    def acquire(self, name: str, owner: str, lease_s: float) -> int | None:
        """See `LockDriver.acquire`."""
        key = self._key(name)
        token = self.client.run_on(_ACQUIRE, (key, f"{key}:token"), owner, _milliseconds(lease_s))
        if token == b"foreign":
            self.in_the_way[name] = key
            return None
        if self.in_the_way:
            self.in_the_way.pop(name, None)
        return None if token is None else int(token)

    def renew(self, name: str, owner: str, lease_s: float) -> bool:
        """See `LockDriver.renew`."""
        return bool(self.client.run(_RENEW, self._key(name), owner, _milliseconds(lease_s)))

    def release(self, name: str, owner: str) -> bool:
        """See `LockDriver.release`."""
        return bool(self.client.run(_RELEASE, self._key(name), owner))

    def inspect(self) -> Iterator[LockStatus]:
        """See `LockDriver.inspect`: by SCAN, which goes through all keys of the database."""
        for key, held, left_ms in self._entries():
            if isinstance(held, bytes) and left_ms > 0:
                with suppress(ValueError):  # another program's key or value
                    token, _, owner = held.decode().partition(":")
                    yield LockStatus(
                        name=self._name(key), owner=owner, token=int(token), left_s=left_ms / 1000
                    )

    def foreign(self) -> Iterator[str]:
        """See `LockDriver.foreign`: values of another form, and those that do not expire."""
        for key, held, left_ms in self._entries():
            is_ours = isinstance(held, bytes) and _HELD.match(held) and left_ms != _NEVER_ENDS
            if held is not None and not is_ours:
                yield key.decode(errors="backslashreplace")

    def _entries(self) -> Iterator[tuple[bytes, Any, int]]:
        """Yield key, value and remaining milliseconds of each lock, once."""
        seen: set[bytes] = set()
        keys = self.client.scan(glob_escaped(f"{self.settings.prefix}{{") + "*}", count=_PAGE)
        while page := list(islice(keys, _PAGE)):
            new = [key for key in dict.fromkeys(page) if key not in seen]
            seen.update(new)
            answers = self.client.call_many([(command, key) for key in new for command in ("GET", "PTTL")])
            yield from zip(new, answers[::2], answers[1::2], strict=True)

    def _name(self, key: bytes) -> str:
        escaped = key.decode()[len(self.settings.prefix) + 1 : -1]
        return escaped.replace("%7D", "}").replace("%7B", "{").replace("%25", "%")

    def _key(self, name: str) -> str:
        escaped = name.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
        return f"{self.settings.prefix}{{{escaped}}}"


def _milliseconds(lease_s: float) -> int:
    return max(1, round(lease_s * 1000))
