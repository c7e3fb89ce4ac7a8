"""Sessions of AppConfig's data service: tokens that serve once, and the interval that the service asks for."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from capa_core.components.aws._client import Clients
from capa_core.components.aws._errors import AwsError

SERVICE = "appconfigdata"
_SHORTEST_S = 15
"""The shortest interval that a session may require."""
_TOO_EARLY = "PollIntervalNotSatisfied"


class Profile(NamedTuple):
    """A configuration profile, by the names or ids of AppConfig."""

    application: str
    environment: str
    name: str


@dataclass(frozen=True, slots=True)
class Deployed:
    """The content that this client has been given."""

    content: bytes
    media_type: str


@dataclass(slots=True)
class _Session:
    lock: threading.Lock = field(default_factory=threading.Lock)
    token: str = ""
    held: Deployed | None = None
    next_at: float = -math.inf


class Sessions:
    """One session for each profile, for as long as the process lives.

    During a gradual deployment a session has been given either the old content or the new one: one that is kept does
    not go back and forth. A token is replaced only when the content that came with it was read to its end: otherwise
    the next call uses it again, is refused, and a new session gets the whole content.
    """

    def __init__(self, clients: Clients, interval_s: float) -> None:
        self._clients = clients
        self._interval_s = interval_s
        self._sessions: dict[Profile, _Session] = {}

    def latest(self, profile: Profile) -> Deployed | None:
        """Return the content of *profile*, asked for no sooner than the service allows; `None` if there is none.

        Raises:
            AwsError: The service refuses, or does not answer.
        """
        session = self._sessions.get(profile) or self._sessions.setdefault(profile, _Session())
        with session.lock:
            if time.monotonic() >= session.next_at:
                with self._clients.limit(SERVICE):
                    self._ask(profile, session)
            return session.held

    def due_in_s(self, profiles: Iterable[Profile]) -> float:
        """Return the seconds until the first of *profiles* may be asked for again."""
        times = [self._sessions[one].next_at for one in profiles if one in self._sessions]
        return max(0.0, min(times, default=0.0) - time.monotonic())

    def start(self, profile: Profile) -> str:
        """Begin a session, and return its first token.

        Raises:
            AwsError: There is no such profile, among others.
        """
        answer = self._clients.call(
            SERVICE,
            "StartConfigurationSession",
            profile.name,
            ApplicationIdentifier=profile.application,
            EnvironmentIdentifier=profile.environment,
            ConfigurationProfileIdentifier=profile.name,
            RequiredMinimumPollIntervalInSeconds=max(_SHORTEST_S, math.ceil(self._interval_s)),
        )
        return str(answer["InitialConfigurationToken"])

    def _ask(self, profile: Profile, session: _Session) -> None:
        try:
            self._use(profile, session)
        except AwsError as error:
            if error.code != "ResourceNotFoundException":
                raise
            session.token, session.held = "", None
            session.next_at = time.monotonic() + self._interval_s

    def _use(self, profile: Profile, session: _Session) -> None:
        """Use the token that there is; a new one after a refusal."""
        if session.token:
            try:
                self._get(profile, session)
            except AwsError as error:
                if error.code != "BadRequestException":
                    raise
                if _is_too_early(error):
                    session.next_at = time.monotonic() + self._interval_s
                    return
            else:
                return
        session.token = self.start(profile)
        self._get(profile, session)

    def _get(self, profile: Profile, session: _Session) -> None:
        action = "GetLatestConfiguration"
        answer = self._clients.call(SERVICE, action, profile.name, ConfigurationToken=session.token)
        content = self._clients.content(answer["Configuration"], SERVICE, action, profile.name)
        if content:  # else nothing has changed, or nothing is deployed yet
            session.held = Deployed(content, answer.get("ContentType") or "")
        session.token = str(answer["NextPollConfigurationToken"])
        session.next_at = time.monotonic() + int(answer.get("NextPollIntervalInSeconds") or 0)


def _is_too_early(error: AwsError) -> bool:
    cause = error.__cause__
    details = getattr(cause, "response", {}).get("Details")
    parameters = (details or {}).get("InvalidParameters") or {}
    return any(one.get("Problem") == _TOO_EARLY for one in parameters.values())
