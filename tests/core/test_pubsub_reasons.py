"""Reasons of dead letters: the error, on one line, without credentials."""

import pytest

from capa_core.blocks.pubsub._reason import LONGEST, reason_of


class OddError(Exception):
    def __str__(self):
        return self.args[0]


class MuteError(Exception):
    def __str__(self):
        raise LookupError


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MuteError(), "MuteError: its text cannot be had: LookupError"),
        (ValueError("bad sku"), "ValueError: bad sku"),
        (KeyError(), "KeyError"),
        ("OddError: password=x\nsecond", "OddError: password=***"),
        (OddError("first\nsecond"), "OddError: first"),
        (OddError("\x1b[2Jred"), "OddError:  [2Jred"),
        (
            OddError("cannot reach redis://:pw@host/0 or https://u:p@h"),
            "OddError: cannot reach redis://***@host/0 or https://***@h",
        ),
        (OddError("password='a b' left"), "OddError: password=*** left"),
        (OddError('{"api_key": "abc", "sku": 1}'), 'OddError: {"api_key": ***, "sku": 1}'),
        (OddError("Authorization: Bearer abc.def failed"), "OddError: Authorization: *** failed"),
        (OddError("secret=x&sku=1"), "OddError: secret=***&sku=1"),
        (OddError("the token ring is slow"), "OddError: the token ring is slow"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_reason(error, reason):
    assert reason == reason_of(error)


def test_reason_is_bounded():
    assert LONGEST == len(reason_of(OddError("x" * 10_000)))
