"""Settings, profiles, entry points and the life cycle of components."""

from capa_core.runtime._current import default_runtime, pin_runtime, use_runtime
from capa_core.runtime._report import ComponentReport
from capa_core.runtime._runtime import Runtime

__all__ = ["ComponentReport", "Runtime", "default_runtime", "pin_runtime", "use_runtime"]
