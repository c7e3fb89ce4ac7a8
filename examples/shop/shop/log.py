"""Logging for all processes of the shop."""

import logging
import sys

from shop import settings

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def configure() -> None:
    logging.basicConfig(stream=sys.stderr, level=settings.current().log_level, format=FORMAT)
    # One line for each poll and each connection says nothing about orders.
    for chatty in ("requests", "urllib3", "pyapollos.apollo_client", "waitress.queue"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
