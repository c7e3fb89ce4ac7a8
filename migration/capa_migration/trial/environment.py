"""What a trial hands on to the processes of the application."""

ROOT = "CAPA_TRIAL_ROOT"
"""Environment variable: absolute path of the project whose imports are redirected."""

MAPS = "CAPA_TRIAL_MAPS"
"""Environment variable: paths of the adapters' import maps, so that no child has to look for them."""
