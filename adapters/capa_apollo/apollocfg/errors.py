"""In place of `apollocfg.errors`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = [
    "ApolloError",
    "ApolloProtocolError",
    "ConfigServiceUnavailable",
    "RequiredKeysMissing",
    "StartupAssertionFailed",
]


class ApolloError(Exception):
    """Above all errors of this client."""


class ApolloProtocolError(ApolloError):
    """The content of a namespace is not what was asked for."""


class ConfigServiceUnavailable(ApolloError):  # noqa: N818 - the original's name
    """No namespace could be read, and `allow_fallback` is false. The cause is the error of Capa.

    Attributes:
        attempted: The addresses that the program named.
    """

    def __init__(self, message: str, attempted: Iterable[str] | None = None) -> None:
        super().__init__(message)
        self.attempted = list(attempted or ())


class RequiredKeysMissing(ApolloError):  # noqa: N818 - the original's name
    """Keys that the program requires have no value.

    Attributes:
        missing: Namespace → keys.
    """

    def __init__(self, missing: Mapping[str, Iterable[str]]) -> None:
        self.missing = {name: sorted(keys) for name, keys in missing.items() if keys}
        listed = "; ".join(f"{name}: {', '.join(keys)}" for name, keys in sorted(self.missing.items()))
        super().__init__(
            f"required keys without a value: {listed}. Publish them, or give them in static_fallback."
        )


class StartupAssertionFailed(ApolloError):  # noqa: N818 - the original's name
    """The program's `on_resolved` refused the values.

    Attributes:
        reason: The namespace, and the text that `on_resolved` returned.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"on_resolved refused the configuration: {reason}")
        self.reason = reason
