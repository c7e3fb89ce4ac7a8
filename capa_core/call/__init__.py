"""The path of every call of a portable type: deadline, retries, error names, telemetry."""

from capa_core.call.guard import DEFAULT_POLICY, Guard, Policy

__all__ = ["DEFAULT_POLICY", "Guard", "Policy"]
