"""Defaults of calls, without the check of the table that sets them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Settings:
    """Defaults of calls that do not set them.

    Args:
        timeout_s: Within how many seconds a call without `timeout=` ends, body included; 0 for no deadline.
        longest_s: Within how many seconds every call ends, also one with a `timeout=`, and the body of one with
            `stream=True`; 0 for no such limit.
        share_connections: Whether `capa_requests.get` and the like keep connections open for the next call.
        is_legacy: Whether the original serves all calls: without services, default deadline and fast paths.
    """

    timeout_s: float = 60.0
    longest_s: float = 0.0
    share_connections: bool = True
    is_legacy: bool = False
    #: The seconds for a call without `timeout=`, from both limits; 0 for none.
    without_timeout_s: float = field(init=False)

    def __post_init__(self) -> None:
        limits = filter(None, (self.timeout_s, self.longest_s))
        object.__setattr__(self, "without_timeout_s", min(limits, default=0.0))
