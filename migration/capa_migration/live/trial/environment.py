"""What a trial hands on to the processes of the application.

The names do not begin with `CAPA_`: every such variable is a setting to the core, and an unknown one an error.
"""

ROOT = "_CAPA_TRIAL_ROOT"
"""Environment variable: absolute path of the project whose imports are redirected."""

MAPS = "_CAPA_TRIAL_MAPS"
"""Environment variable: paths of the adapters' import maps, so that no child has to look for them."""
