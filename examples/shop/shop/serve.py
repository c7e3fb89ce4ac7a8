"""Run one of the web services: `python -m shop.serve catalog --port 5001`."""

import argparse
import importlib
import logging

import waitress

from shop import log
from shop.web import new_service

SERVICES = {"catalog": "shop.catalog", "orders": "shop.orders"}


def build(name: str):
    """Return the WSGI application of a service, with its database in place."""
    importlib.import_module(SERVICES[name] + ".store").init()
    return new_service(name, importlib.import_module(SERVICES[name] + ".api").api)


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("service", choices=sorted(SERVICES))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=8)
    options = parser.parse_args(argv)
    log.configure()
    logging.getLogger(__name__).info("%s listens on %s:%d", options.service, options.host, options.port)
    waitress.serve(
        build(options.service),
        host=options.host,
        port=options.port,
        threads=options.threads,
        ident=options.service,
    )


if __name__ == "__main__":
    main()
