"""The process that forks children: it has no threads, so its children inherit no held locks."""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import time
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from billiard.util import _run_after_forkers
from celery import signals
from celery.platforms import set_pdeathsig

from capa_celery._worker.prefork import _wire
from capa_celery._worker.prefork._child import Child
from capa_celery._worker.prefork._stopped import StoppedWatch

if TYPE_CHECKING:
    from capa_celery._worker._pool import PoolOptions
    from capa_celery._worker.prefork._slots import Slots


_LOOK_S = 0.02


class Zygote:
    """The worker's handle of it.

    Args:
        jobs: The children's end of the socket that tasks come through.
        reports: The children's end of the socket that reports go through.
    """

    def __init__(
        self, options: PoolOptions, slots: Slots, jobs: socket.socket, reports: socket.socket
    ) -> None:
        self._options = options
        self._slots = slots
        self._jobs = jobs
        self._reports = reports

    def start(self, close: tuple[socket.socket, ...]) -> None:
        """Fork it off; it closes the worker's own ends, which are *close*."""
        self._orders, orders = _wire.pair()
        self.pid = os.fork()
        if self.pid == 0:
            for end in (self._orders, *close):
                end.close()
            _leave_with(lambda: self._serve(orders))
        orders.close()

    def spawn(self, index: int) -> None:
        """Request a child for slot *index*."""
        self._orders.send(bytes([1]) + index.to_bytes(4, "big"))

    def is_alive(self) -> bool:
        """Return whether it lives and so can fork children."""
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:
            return False

    def has_ended(self, within_s: float) -> bool:
        """Return true as soon as it has ended, or false after *within_s*."""
        # It alone has the other end of this socket, and sends nothing: there is something to read when it has ended.
        select.select([self._orders], [], [], within_s)
        return not self.is_alive()

    def kill(self) -> None:
        """End it at once, also if it was stopped; its children are not ended."""
        if self.is_alive():
            os.kill(self.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Stop it when its last child has ended, and wait for its end. One that somebody has stopped is killed."""
        self._orders.close()
        stopped = StoppedWatch()
        while self.is_alive():
            if stopped.find([self.pid]):
                self.kill()
            time.sleep(_LOOK_S)
        os.waitpid(self.pid, 0)

    def _serve(self, orders: socket.socket) -> int:
        set_pdeathsig("SIGKILL")
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)
        bell, ringer = os.pipe()
        os.set_blocking(ringer, False)
        os.set_blocking(bell, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ringer, warn_on_full_buffer=False)
        gc.freeze()
        children: dict[int, int] = {}
        announced: set[int] = set()  # the pool has sent the signal for the first child of each slot
        serving = True
        watched: list[Any] = [bell, orders]
        while serving or children:
            ready, _, _ = select.select(watched[: 1 + serving], [], [])
            if bell in ready:
                os.read(bell, 512)
                self._reap(children)
            if orders in ready:
                order = orders.recv(16)
                serving = order != _wire.PARENT_GONE
                if serving:
                    index = int.from_bytes(order[1:], "big")
                    if index in announced or index >= self._options.slots:
                        signals.worker_before_create_process.send(sender=self)
                    announced.add(index)
                    children[self._fork(index, orders)] = index
        return 0

    def _fork(self, index: int, orders: socket.socket) -> int:
        self._slots.of(index).clear()
        pid = os.fork()
        if pid == 0:
            orders.close()
            signal.set_wakeup_fd(-1)
            for name in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
                signal.signal(name, signal.SIG_DFL)
            _run_after_forkers()
            child = Child(self._options, index, self._slots, self._jobs, self._reports)
            _leave_with(child.run)
        return pid

    def _reap(self, children: dict[int, int]) -> None:
        while children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            if pid in children:
                self._reports.send(_wire.pack(("down", children.pop(pid), status)))


def _leave_with(run: object) -> NoReturn:
    """Run a forked process to its end; nothing of the parent's stack or exit handlers may run in it."""
    code = 1
    try:
        code = run()  # type: ignore[operator]
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:  # noqa: BLE001 - the last frame of a process
        traceback.print_exc()
    finally:
        os._exit(code)
