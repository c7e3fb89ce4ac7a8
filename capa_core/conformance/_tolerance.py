"""The tolerance of tests that measure time."""

SLOW_MACHINE_S = 1.0
"""Seconds by which a busy machine may delay a thread, which are not part of an engine's promise."""
