"""A standard API for middleware over components that are chosen per environment, in this process.

    from capa_core import default_runtime

    runtime = default_runtime()
    runtime.state("orders").put("42", b"paid")

Names are imported when first used: `import capa_core` by itself loads none of pydantic or an engine's library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capa_core.lazy import import_when_used as _import_when_used

if TYPE_CHECKING:
    from capa_core.client import Capa
    from capa_core.errors import CapaError
    from capa_core.runtime import Runtime, default_runtime, use_runtime

# Written by `make docs` from the blocks: imports
if TYPE_CHECKING:
    from capa_core.blocks.configuration import Configuration
    from capa_core.blocks.database import Database
    from capa_core.blocks.files import Files
    from capa_core.blocks.invocation import Invocation, Service
    from capa_core.blocks.lock import Locks
    from capa_core.blocks.log import Log
    from capa_core.blocks.pubsub import Message, PubSub
    from capa_core.blocks.schedule import Run, Schedule
    from capa_core.blocks.secrets import Secret, Secrets
    from capa_core.blocks.sequencer import Sequencer
    from capa_core.blocks.state import State
    from capa_core.blocks.telemetry import Telemetry, add_trace_fields
# End of the written part

__version__ = "0.1.0"

__all__ = [
    "Capa",
    "CapaError",
    "Runtime",
    "default_runtime",
    "use_runtime",
]

_HOMES = {
    "Capa": "capa_core.client",
    "CapaError": "capa_core.errors",
    "Runtime": "capa_core.runtime",
    "default_runtime": "capa_core.runtime",
    "use_runtime": "capa_core.runtime",
}

# Written by `make docs` from the blocks: names
__all__ += [
    "Configuration",
    "Database",
    "Files",
    "Invocation",
    "Locks",
    "Log",
    "Message",
    "PubSub",
    "Run",
    "Schedule",
    "Secret",
    "Secrets",
    "Sequencer",
    "Service",
    "State",
    "Telemetry",
    "add_trace_fields",
]
_HOMES |= {
    "Configuration": "capa_core.blocks.configuration",
    "Database": "capa_core.blocks.database",
    "Files": "capa_core.blocks.files",
    "Invocation": "capa_core.blocks.invocation",
    "Locks": "capa_core.blocks.lock",
    "Log": "capa_core.blocks.log",
    "Message": "capa_core.blocks.pubsub",
    "PubSub": "capa_core.blocks.pubsub",
    "Run": "capa_core.blocks.schedule",
    "Schedule": "capa_core.blocks.schedule",
    "Secret": "capa_core.blocks.secrets",
    "Secrets": "capa_core.blocks.secrets",
    "Sequencer": "capa_core.blocks.sequencer",
    "Service": "capa_core.blocks.invocation",
    "State": "capa_core.blocks.state",
    "Telemetry": "capa_core.blocks.telemetry",
    "add_trace_fields": "capa_core.blocks.telemetry",
}
# End of the written part


__getattr__ = _import_when_used(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
