"""Receive task messages from one queue and hand them to the pool."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from capa_celery._worker._jobs import Job, Jobs, Window
from capa_core.blocks.pubsub import Consumer
from capa_core.errors import CapaError, ClosedError

logger = logging.getLogger("celery.capa.worker")

WAIT_S = 1.0
LONGEST_PAUSE_S = 10.0


class Intake:
    """A thread that receives as many jobs as the window allows. The broker may go away and come back.

    Args:
        open_consumer: Joins the group of the queue; called once, by `open`.
        hand_over: Takes the received jobs; may block.
    """

    def __init__(
        self,
        queue: str,
        open_consumer: Callable[[], Consumer],
        jobs: Jobs,
        window: Window,
        hand_over: Callable[[list[Job]], None],
    ) -> None:
        self.queue = queue
        self._open_consumer = open_consumer
        self._jobs = jobs
        self._window = window
        self._hand_over = hand_over
        self._stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"capa-intake-{queue}", daemon=True)

    def open(self) -> None:
        """Join the group: what is published from now on is received."""
        self._consumer = self._open_consumer()

    def start(self) -> None:
        """Begin to receive."""
        self.thread.start()

    def stop(self) -> None:
        """Receive no more; what comes yet is handed back."""
        self._stopped.set()
        self._window.settled(0)

    def join(self) -> None:
        """Return when the last received jobs were handed over or back; `stop` first."""
        if self.thread.is_alive():
            self.thread.join()

    def close(self) -> None:
        """Leave the group."""
        try:
            self._consumer.close()
        except CapaError as error:
            logger.warning("leaving queue %s: %s", self.queue, error)

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopped.wait(pause_s):
            try:
                self._receive()
                pause_s = 0.0
            except ClosedError:
                return
            except CapaError as error:
                pause_s = min(LONGEST_PAUSE_S, 2 * pause_s or 0.5)
                logger.warning(
                    "cannot receive from queue %s, trying again in %.1f s: %s", self.queue, pause_s, error
                )

    def _receive(self) -> None:
        room = self._window.wait_for_room(lambda: len(self._jobs), WAIT_S)
        if not room or self._stopped.is_set():
            return
        messages = self._consumer.receive(room, timeout=WAIT_S)
        if not messages:
            return
        if not len(self._jobs):
            self._window.begin()
        jobs = [Job(message, self._consumer, self.queue) for message in messages]
        self._jobs.add(jobs)
        if self._stopped.is_set():
            self._jobs.release(jobs)
        else:
            self._hand_over(jobs)
