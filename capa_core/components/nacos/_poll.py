"""The long poll of Nacos: one held request that names every text that is watched, with the digest of its content."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_plus

from capa_core.blocks.configuration.held_poll import HeldPoll
from capa_core.components.nacos._client import Servers
from capa_core.components.nacos._settings import NacosConfigurationSettings
from capa_core.http import Answer, Connection, Endpoint

PATH = "/v1/cs/configs/listener"
_WORD, _LINE = "\x02", "\x01"


class Place(NamedTuple):
    """One text in Nacos."""

    data_id: str
    group: str
    tenant: str


Known = Mapping[Place, str]
"""Place → the MD5 of its content; `""` for one that is not there."""


class Poll:
    """The poll of one component: see `HeldPoll`."""

    def __init__(self, servers: Servers, settings: NacosConfigurationSettings) -> None:
        self._servers = servers
        self._hold_s = settings.hold_s
        self._held = HeldPoll[Known](self._send, hold_s=settings.hold_s, timeout_s=settings.timeout_s)
        self.wake, self.close, self.forget = self._held.wake, self._held.close, self._held.forget

    def wait(self, known: Known, end: float) -> set[Place]:
        """Return the places whose content is another one; none at *end* (monotonic), or after `wake` or `close`.

        Raises:
            UnavailableError: The poll was answered by an error.
            OSError: As of `HeldPoll.wait`.
        """
        while (answer := self._held.wait(known, end)) is not None:
            if news := self._news(known, answer):
                return news
            if time.monotonic() >= end:
                break
        return set()

    def _send(self, known: Known) -> tuple[Endpoint, Connection]:
        lines = (_WORD.join((one.data_id, one.group, md5, one.tenant)) + _LINE for one, md5 in known.items())
        hold = ("Long-Pulling-Timeout", str(int(self._hold_s * 1000)))
        return self._servers.begin(PATH, {"Listening-Configs": "".join(lines)}, (hold,))

    def _news(self, known: Known, answer: Answer) -> set[Place]:
        if answer.status in (401, 403) and self._servers.renew():
            return set(known)  # reading them signs in again, or tells why not
        if answer.status != 200:
            raise self._servers.error(answer, PATH)
        lines = unquote_plus(answer.body.decode(errors="replace")).strip().split(_LINE)
        words = [line.split(_WORD) for line in lines if line]
        if not all(len(one) in (2, 3) for one in words):
            raise self._servers.malformed(PATH)
        return {Place(one[0], one[1], one[2] if len(one) > 2 else "") for one in words}
