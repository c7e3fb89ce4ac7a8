"""For operations: `python -m shop.cli seed`, `place --count 20`, `status`, `watch ORDER`."""

import argparse
import json
import random
import sys
import time

import requests

from shop import settings
from shop.catalog.seed import PRODUCTS, seed

PLACE_TIMEOUT = 15


def place(options) -> int:
    """Place random orders and print their ids, one a line."""
    chance = random.Random(options.seed)
    refused = 0
    with requests.Session() as session:
        for number in range(options.count):
            response = session.post(
                settings.current().orders_url + "/orders",
                json={"customer": "customer-{}@example.com".format(number), "lines": basket(chance)},
                timeout=PLACE_TIMEOUT,
            )
            if response.status_code == 201:
                print(response.json()["id"], flush=True)
            else:
                refused += 1
                print("refused: {}".format(response.text.strip()), file=sys.stderr)
    return 1 if refused else 0


def basket(chance: random.Random):
    chosen = chance.sample([product[0] for product in PRODUCTS], chance.randint(1, 3))
    return [{"sku": sku, "quantity": chance.randint(1, 2)} for sku in chosen]


def status(options) -> int:
    response = requests.get(settings.current().orders_url + "/stats", timeout=5)
    response.raise_for_status()
    print(json.dumps(response.json(), indent=2))
    return 0


def watch(options) -> int:
    """Print the status of an order whenever it changes, until it is closed."""
    url = "{}/orders/{}".format(settings.current().orders_url, options.order)
    seen = None
    while seen not in ("done", "rejected", "expired"):
        try:
            answer = requests.get(url, timeout=5).json()
        except requests.ConnectionError:
            time.sleep(1)
            continue
        if answer["status"] != seen:
            seen = answer["status"]
            print(seen, flush=True)
        time.sleep(0.2)
    return 0


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("seed").set_defaults(run=lambda options: print(seed()) or 0)
    placing = commands.add_parser("place")
    placing.add_argument("--count", type=int, default=1)
    placing.add_argument("--seed", type=int, default=None)
    placing.set_defaults(run=place)
    commands.add_parser("status").set_defaults(run=status)
    watching = commands.add_parser("watch")
    watching.add_argument("order")
    watching.set_defaults(run=watch)
    options = parser.parse_args(argv)
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
