"""Settings, profiles, entry points and the life cycle of components."""

from capa_core.runtime._current import default_runtime, pin_runtime, use_runtime
from capa_core.runtime._fallback import table_to_add
from capa_core.runtime._problems import problems
from capa_core.runtime._report import ComponentReport
from capa_core.runtime._runtime import Runtime
from capa_core.runtime._spread import Need, Scattered, is_used, unserved

__all__ = [
    "ComponentReport",
    "Need",
    "Runtime",
    "Scattered",
    "default_runtime",
    "is_used",
    "pin_runtime",
    "problems",
    "table_to_add",
    "unserved",
    "use_runtime",
]
