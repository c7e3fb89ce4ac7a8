"""Environment variables that a trial passes to the processes of the application.

The names do not begin with `CAPA_`: the core reads every such variable as a setting, and an unknown one is an error.
"""

ROOT = "_CAPA_TRIAL_ROOT"
"""Environment variable: absolute path of the project whose imports are redirected."""

MAPS = "_CAPA_TRIAL_MAPS"
"""Environment variable: paths of the adapters' import maps, so that no child process has to search for them."""

SDKS = "_CAPA_TRIAL_SDKS"
"""Environment variable: frequent names of modules that are an SDK, separated by commas."""
