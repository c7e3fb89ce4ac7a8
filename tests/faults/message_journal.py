"""A journal of messages that are sent and done while an engine is broken."""

import threading
import time
from collections import Counter
from contextlib import contextmanager

from capa_core.errors import CapaError

MANY = 1_000
AT_ONCE = 20


class Journal:
    """The messages that were sent, as the broker has confirmed it, and those that were done."""

    def __init__(self, path, topic="t"):
        self.path = path
        self.topic = topic
        self.sent = []
        path.touch()

    def done(self):
        """Return how often each message was done."""
        return Counter(self.path.read_bytes().split())

    def write(self, message):
        """Note that *message* was done."""
        with self.path.open("ab", buffering=0) as file:
            file.write(message.data + b"\n")

    def send(self, pubsub, until):
        """Publish in batches until `until()`; what was not confirmed is sent again, under new numbers."""
        number = 0
        while not until():
            batch = [b"%d" % each for each in range(number, number + AT_ONCE)]
            number += AT_ONCE
            try:
                results = pubsub.publish_many(self.topic, batch, raw=True)
            except CapaError:
                continue
            self.sent += [body for body, result in zip(batch, results, strict=True) if result.ok]
            time.sleep(0.005)

    def counts(self, within_s=40):
        """Return sent, lost and duplicated, once all is done or the time is over."""
        end = time.monotonic() + within_s
        while set(self.sent) - set(self.done()) and time.monotonic() < end:
            time.sleep(0.05)
        done = self.done()
        return {
            "sent": len(self.sent),
            "lost": len(set(self.sent) - set(done)),
            "duplicated": done.total() - len(done),
        }


@contextmanager
def sending(journal, pubsub):
    """Publish for the length of a `with` block, and until there are enough messages."""
    over = threading.Event()
    thread = threading.Thread(
        target=journal.send, args=(pubsub, lambda: over.is_set() and len(journal.sent) >= MANY)
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def wait_for_more(journal):
    """Return when messages are done that were not done at the call."""
    before, end = journal.done().total(), time.monotonic() + 40
    while journal.done().total() <= before + AT_ONCE and time.monotonic() < end:
        time.sleep(0.01)
