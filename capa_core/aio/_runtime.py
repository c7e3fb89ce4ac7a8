"""The runtime for async code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from capa_core import runtime
from capa_core.aio._facade import ClosableFacade
from capa_core.aio._service import Service


class Runtime(ClosableFacade):
    """A runtime whose components are those for async code; its arguments are those of `capa_core.Runtime`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(runtime.Runtime(*args, **kwargs))

    @classmethod
    def in_memory(cls, settings: Mapping[str, Any] | None = None) -> Self:
        """Return a runtime on memory drivers, for tests: `capa_core.Runtime.in_memory`."""
        return cls.over(runtime.Runtime.in_memory(settings))

    def host(self, application: Any, *, name: str) -> None:
        """Make *application* answer for the service *name* within this process: `capa_core.Runtime.host`."""
        if isinstance(application, Service):
            application.join_loop()
            application = application.blocking
        self._blocking.host(application, name=name)
