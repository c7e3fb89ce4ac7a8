"""A bridge between two topics, killed at any moment under load, and what it has moved."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from capa_core import Runtime
from capa_core.blocks.pubsub import Draft, PubSub
from capa_core.conformance._tolerance import wait_until

CAPA = Path(sys.executable).with_name("capa")
KEYS = 7
BATCH = 100
"""So many messages a bridge has under way at most: they may come twice when it is killed."""
PIECE = 10
SQLITE = '[pubsub.{name}]\ndriver = "sqlite"\nfolder = "{name}"\n'
REDIS = '[pubsub.{name}]\ndriver = "redis"\nurl = "{redis}"\nprefix = "{name}."\n'
RABBITMQ = '[pubsub.{name}]\ndriver = "rabbitmq"\nurl = "{rabbitmq}"\nprefix = "{unique}."\n'
_BRIDGE = """
[state.ids]
driver = "redis"
url = "{redis}"

[bridges.orders]
from = "old:orders"
to = "new:orders"
group = "default"
lease_s = 1
state = "ids"
"""


def killed_under_load(
    folder: Path,
    sides: tuple[str, str],
    words: dict[str, str],
    messages: int,
    kills: int,
    *,
    with_keys: bool,
) -> dict[str, int]:
    """Return how many messages a bridge has moved and lost, moved again, and out of the order of their keys.

    Args:
        folder: Empty, but for data of servers.
        sides: The tables of the two components, such as `SQLITE`.
        words: What is filled in there: the addresses of servers, and a unique name.
    """
    old_side, new_side = sides
    tables = [old_side.format(name="old", **words), new_side.format(name="new", **words)]
    (folder / "capa.toml").write_text("\n".join([*tables, _BRIDGE.format(**words)]))
    with Runtime(start=folder) as runtime:
        old, new = runtime.pubsub("old"), runtime.pubsub("new")
        for pubsub in (old, new):
            pubsub.consumer("orders").close()
        last = _publish_and_kill(folder, (old, new), messages, kills, with_keys=with_keys)
        try:
            wait_until(lambda: old.depth("orders") == 0, patience_s=120)
        finally:
            last.kill()
            last.wait()
        return _counts(_moved(new, messages), messages)


def _publish_and_kill(
    folder: Path, sides: tuple[PubSub, PubSub], messages: int, kills: int, *, with_keys: bool
) -> "subprocess.Popen[bytes]":
    """Publish in as many parts as there are kills, one within each; return the bridge that moves the rest."""
    old, new = sides
    for number in range(kills):
        pieces = _pieces(range(number * messages // kills, (number + 1) * messages // kills))
        last, before = random.randrange(len(pieces)), new.depth("orders")
        bridge = _started(folder)
        try:
            for piece in pieces[: last + 1]:
                old.publish_many("orders", _drafts(piece, with_keys=with_keys), raw=True)
            wait_until(lambda: new.depth("orders") > before or bridge.poll() is not None, patience_s=60)  # noqa: B023
            time.sleep(random.uniform(0, 0.03))
        finally:
            bridge.kill()
            bridge.wait()
        assert -signal.SIGKILL == bridge.returncode
        for piece in pieces[last + 1 :]:
            old.publish_many("orders", _drafts(piece, with_keys=with_keys), raw=True)
    return _started(folder)


def _pieces(numbers: range) -> list[range]:
    return [numbers[first : first + PIECE] for first in range(0, len(numbers), PIECE)]


def _drafts(numbers: range, *, with_keys: bool) -> list[Draft]:
    return [Draft(data=b"%d" % number, key=str(number % KEYS) if with_keys else "") for number in numbers]


def _started(folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([CAPA, "bridge", "orders"], cwd=folder, stdout=subprocess.DEVNULL)


def _moved(pubsub: PubSub, count: int) -> list[int]:
    """Return the bodies in the order in which the target gives them, once there are *count* different ones."""
    found: list[int] = []
    end = time.monotonic() + 120
    with pubsub.consumer("orders", raw=True) as consumer:
        while len(set(found)) < count and time.monotonic() < end:
            messages = consumer.receive(BATCH, 1.0)
            found += [int(message.data) for message in messages]
            consumer.ack(messages)
        messages = consumer.receive(BATCH, 2.0)
        found += [int(message.data) for message in messages]
        consumer.ack(messages)
    return found


def _counts(found: Sequence[int], messages: int) -> dict[str, int]:
    by_key: dict[int, list[int]] = defaultdict(list)
    for number in dict.fromkeys(found):
        by_key[number % KEYS].append(number)
    times = Counter(found)
    return {
        "sent": messages,
        "moved": len(times),
        "lost": messages - len(times),
        "duplicated": times.total() - len(times),
        "out of order": sum(numbers != sorted(numbers) for numbers in by_key.values()),
    }
