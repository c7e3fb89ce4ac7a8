"""Sequences in Redis: one key for each name, one round trip for each call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from capa_core.abilities import NATIVE, approximate
from capa_core.blocks.sequencer.driver import SequencerDriver, SequencerFeature, SequenceStatus
from capa_core.components.redis._client import Script, glob_escaped
from capa_core.components.redis._driver import RedisDriver
from capa_core.components.redis._settings import RedisSettings
from capa_core.errors import ConflictError

# Numbers of more than 53 bits lose digits in Lua: only the server's own arithmetic, on text, is exact.
_HELD = r"""
local held = redis.pcall('GET', KEYS[1])
if held and (type(held) == 'table' or not (held == '0' or string.match(held, '^[1-9]%d*$'))) then
    return 'foreign'
end
"""
_TAKE = Script.of(
    _HELD
    + r"""
-- key; how many -> the last of them as text, nil if they would exceed 64 bits, or 'foreign'
local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(sum) == 'table' then
    return nil
end
return redis.call('GET', KEYS[1])
"""
)
_ADVANCE = Script.of(
    _HELD
    + r"""
-- key; the last number before the next one, as text without leading zeros -> the last number as text, or 'foreign'
local least = ARGV[1]
if not held or #held < #least or (#held == #least and held < least) then
    redis.call('SET', KEYS[1], least)
    return least
end
return held
"""
)
_COUNT = 500


class RedisSequencerSettings(RedisSettings):
    """The address of the server, and the prefix of its keys."""

    prefix: str = "capa:sequencer:"


class RedisSequencer(RedisDriver[RedisSequencerSettings], SequencerDriver[RedisSequencerSettings]):
    """The last number of each name as decimal text at `<prefix><name>`: `INCR` by another program is a `take`.

    A replica that is promoted before it has received a number gives that again, and so does a server that lost it in a
    crash.
    """

    settings_type = RedisSequencerSettings
    features = {
        **dict.fromkeys(SequencerFeature, NATIVE),
        SequencerFeature.DURABLE: approximate("as the server's appendonly and appendfsync settings define"),
    }

    def take(self, name: str, count: int) -> int | None:
        """See `SequencerDriver.take`."""
        last = self._run(_TAKE, name, count)
        return None if last is None else int(last) - count + 1

    def advance(self, name: str, least: int) -> int:
        """See `SequencerDriver.advance`."""
        return int(self._run(_ADVANCE, name, least - 1)) + 1

    def inspect(self) -> Iterator[SequenceStatus]:
        """See `SequencerDriver.inspect`: by SCAN, which goes through all keys of the database."""
        seen: set[bytes] = set()
        skip = len(self.settings.prefix.encode())
        for key in self.client.scan(glob_escaped(self.settings.prefix) + "*", count=_COUNT):
            if key not in seen:
                seen.add(key)
                with suppress(UnicodeDecodeError, ValueError, TypeError):  # another program's key or value
                    (last,) = self.client.get_many([key.decode()])
                    yield SequenceStatus(name=key[skip:].decode(), next=int(last or b"") + 1)

    def _run(self, script: Script, name: str, number: int) -> Any:
        key = self.settings.prefix + name
        answer = self.client.run(script, key, number)
        if answer == b"foreign":
            raise ConflictError(
                f"{key!r} holds no whole number: another program wrote it. Nothing was taken."
            )
        return answer
