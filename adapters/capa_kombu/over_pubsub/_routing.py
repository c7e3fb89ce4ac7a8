"""Routing by exchanges: whether a message goes through a binding, as in AMQP."""

from __future__ import annotations

EXCHANGE_TYPES = frozenset({"direct", "topic", "fanout"})


def key_matches(binding: tuple[str, str], routing_key: str) -> bool:
    """Return whether a message with *routing_key* goes through a *binding*: the type of the exchange, and a key."""
    kind, pattern = binding
    if kind == "topic":
        return _words_match(pattern.split("."), routing_key.split("."))
    return kind == "fanout" or pattern == routing_key


def _words_match(pattern: list[str], words: list[str]) -> bool:
    """Return whether the words match as in an AMQP topic exchange: `*` is one word, `#` any number of them or none."""
    if not pattern:
        return not words
    head, rest = pattern[0], pattern[1:]
    if head == "#":
        return any(_words_match(rest, words[skipped:]) for skipped in range(len(words) + 1))
    return bool(words) and head in ("*", words[0]) and _words_match(rest, words[1:])
