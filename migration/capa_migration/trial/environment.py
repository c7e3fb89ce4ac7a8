"""What a trial hands on to the processes of the application."""

ROOT = "CAPA_TRIAL_ROOT"
"""Environment variable: absolute path of the project whose imports are redirected."""
