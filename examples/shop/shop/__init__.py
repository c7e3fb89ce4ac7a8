"""The shop: a catalogue, an order desk, and the tasks that take an order out of the door."""

# Loaded here so that `shared_task` finds the application whichever module is imported first.
from .celery import app as celery_app

__all__ = ["celery_app"]
__version__ = "4.2.1"
