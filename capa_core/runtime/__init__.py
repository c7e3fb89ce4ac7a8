"""Settings, profiles, entry points and the life cycle of components."""

from capa_core.runtime._current import default_runtime, pin_runtime, use_runtime
from capa_core.runtime._problems import problems
from capa_core.runtime._report import ComponentReport
from capa_core.runtime._runtime import Runtime
from capa_core.runtime._spread import Need, Scattered

__all__ = [
    "ComponentReport",
    "Need",
    "Runtime",
    "Scattered",
    "default_runtime",
    "pin_runtime",
    "problems",
    "use_runtime",
]
