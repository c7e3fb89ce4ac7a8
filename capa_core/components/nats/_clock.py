"""The clock of the server, read seldom, and counted from there by one that nobody sets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from capa_core.clocks import boot_time

_GOOD_FOR_S = 60.0
_EXACT_S = 0.02
_TRIES = 3

Ask = Callable[[], str]


class ServerClock:
    """The server's time, between two bounds, as it was told at some moment of a request.

    Its methods are given a function that asks for the time as JetStream writes it.
    """

    def __init__(self) -> None:
        self._reading = (0.0, 0.0, float("-inf"))

    def latest(self, ask: Ask) -> float:
        """Return a time, in seconds since the epoch, that the server's clock has not passed."""
        told, asked, _ = self._read(ask)
        return told + boot_time() - asked

    def earliest(self, ask: Ask) -> float:
        """Return a time that the server's clock has passed."""
        told, _, answered = self._read(ask)
        return told + boot_time() - answered

    def _read(self, ask: Ask) -> tuple[float, float, float]:
        """Return the time that was told, and when it was asked for and came; asked again if the answer took long."""
        if boot_time() - self._reading[2] > _GOOD_FOR_S:
            readings: list[tuple[float, float, float]] = []
            while len(readings) < _TRIES and not any(_took_s(each) < _EXACT_S for each in readings):
                asked = boot_time()
                readings.append((seconds_of(ask()), asked, boot_time()))
            self._reading = min(readings, key=_took_s)
        return self._reading


def seconds_of(told: str) -> float:
    """Return a time as JetStream writes it, with up to nine digits of a second."""
    whole, _, fraction = told.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")


def _took_s(reading: tuple[float, float, float]) -> float:
    return reading[2] - reading[1]
