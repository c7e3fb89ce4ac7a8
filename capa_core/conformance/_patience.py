"""What tests of time allow for, beyond what is promised."""

SLOW_MACHINE_S = 1.0
"""How late a busy machine may let a thread run: an engine's promise is measured, not its neighbours' load."""
