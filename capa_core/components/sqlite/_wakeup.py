"""Wake-ups: signal a change to waiting threads in all processes of the machine, with polling only as a fallback.

    wakeups = Wakeups(folder / "state.wake")
    wakeups.signal("orders")                       # after the commit; costs about 5 µs without listeners
    with wakeups.listen("orders") as listener:     # listen, then look, then wait: no change is missed
        while (row := look()) is None and listener.wait(min(left_s, RECHECK_S)): …

Each process that listens has a named pipe in the folder, and a thread that reads it. A signal is a hash of
the name, written to every pipe there. A pipe whose process died is detected by the write and removed. Signals are
hints: one may be spurious (two names with one hash) or get lost (a pipe that cannot be made), so look again every
`RECHECK_S`.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
import uuid
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from capa_core.folders import own
from capa_core.supervision import SupervisedThread

RECHECK_S = 0.5 if hasattr(os, "mkfifo") else 0.02

_RECORD = struct.Struct("=I")
_PIPE_BYTES = 65536


class Listener:
    """A listener for the signals of one or more names. Used by one thread."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def wait(self, timeout_s: float) -> bool:
        """Wait for a signal since the last wait (or the start); return whether one came within *timeout_s*."""
        came = self._event.wait(timeout_s)
        self._event.clear()
        return came

    def wake(self) -> None:
        """End the current or next wait. Safe from any thread."""
        self._event.set()


class Wakeups:
    """Signals between all processes that use the same *folder*, which is created by the first listener.

    Safe for many threads and across forks: a child starts without listeners.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._listeners: dict[int, set[Listener]] = {}
        self._pipe: _Pipe | None = None
        _all.add(self)

    def signal(self, *names: str) -> None:
        """Wake the listeners of *names*, here and in other processes. Never waits and never raises."""
        keys = [_key(name) for name in names]
        self._wake(keys)
        try:
            pipes = [path for path in self._folder.iterdir() if not path.name.startswith(".")]
        except OSError:
            return  # no process has listened yet
        own = self._pipe  # read once: another thread may close it meanwhile
        for pipe in pipes:
            if own is None or pipe != own.path:
                _send(pipe, keys)

    @contextmanager
    def listen(self, *names: str) -> Iterator[Listener]:
        """Listen for the signals of *names* from now on."""
        listener, keys = Listener(), {_key(name) for name in names}
        with self._lock:
            for key in keys:
                self._listeners.setdefault(key, set()).add(listener)
            self._open()
        try:
            yield listener
        finally:
            for key in keys:
                self._drop(key, listener)

    def close(self) -> None:
        """Stop the thread, remove the pipe and wake the listeners. A second `close` does nothing."""
        with self._lock:
            pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
        self._wake(None)

    def forget(self) -> None:
        """Reset in a forked child, leaving the pipe to the parent. Registered as a fork handler."""
        self._lock = threading.Lock()
        self._listeners = {}
        if self._pipe is not None:
            self._pipe.leave()
            self._pipe = None

    def _open(self) -> None:
        """Open the pipe and start its thread, if the operating system allows it."""
        if self._pipe is None:
            with suppress(
                OSError, AttributeError
            ):  # a full disk, or Windows: listeners then poll each `RECHECK_S`
                self._pipe = _Pipe(self._folder, weakref.WeakMethod(self._wake))
                weakref.finalize(self, self._pipe.close)

    def _drop(self, key: int, listener: Listener) -> None:
        with self._lock:
            group = self._listeners.get(key, set())
            group.discard(listener)
            if not group:
                self._listeners.pop(key, None)

    def _wake(self, keys: Iterable[int] | None) -> None:
        """Wake the listeners of *keys*, or all."""
        with self._lock:
            for key in set(keys) if keys is not None else list(self._listeners):
                for listener in self._listeners.get(key, ()):
                    listener.wake()


class _Pipe:
    """A named pipe and the thread that reads it and calls *heard*, until it is closed."""

    def __init__(
        self, folder: Path, heard: weakref.WeakMethod[Callable[[Iterable[int] | None], None]]
    ) -> None:
        if not folder.parent.is_dir():
            own(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        name = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        hidden, self.path = folder / f".{name}", folder / name
        os.mkfifo(hidden, 0o600)
        self._descriptor = os.open(
            hidden, os.O_RDWR
        )  # also for writing, so that it never reads "end of file"
        hidden.rename(self.path)  # only now: a pipe without a reader is considered that of a dead process
        self._heard = heard
        self._closing = False
        self._process = os.getpid()
        self._first_close = threading.Lock()
        self._ending = threading.Lock()
        SupervisedThread("capa-sqlite-wakeup", self._listen, stopping=lambda: False).start()

    def close(self) -> None:
        """Make the thread clean up and end. A second `close` does nothing."""
        # A later one must not wait for `_ending`: a child may be forked, and a program may end, while the thread
        # holds it for good.
        if os.getpid() != self._process or not self._first_close.acquire(blocking=False):
            return
        with self._ending:  # once the thread sees `_closing`, the descriptor may be reused for another file
            self._closing = True
            self.path.unlink(missing_ok=True)
            os.write(self._descriptor, _RECORD.pack(0))

    def leave(self) -> None:
        """Close this child's copy in a forked child; the pipe remains the parent's."""
        self._closing = True
        os.close(self._descriptor)

    def _listen(self) -> None:
        while not self._closing:
            records = os.read(self._descriptor, _PIPE_BYTES)
            heard = self._heard()
            if heard is not None:
                # A read of half a pipe: it may have been full, so that signals were lost.
                heard(
                    None
                    if len(records) > _PIPE_BYTES // 2
                    else [key for (key,) in _RECORD.iter_unpack(records)]
                )
            del heard  # otherwise a dropped owner would stay alive, and listen, until the next signal
        with self._ending:
            os.close(self._descriptor)


def _key(name: str) -> int:
    return zlib.crc32(name.encode())


def _send(pipe: Path, keys: Iterable[int]) -> None:
    """Write *keys* to another process's pipe; remove the pipe if that process is dead."""
    try:
        descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            pipe.unlink(missing_ok=True)
        return
    try:
        with suppress(OSError):  # full: the signals in it wake the process anyway
            os.write(descriptor, b"".join(_RECORD.pack(key) for key in keys))
    finally:
        os.close(descriptor)


_all: weakref.WeakSet[Wakeups] = weakref.WeakSet()


def _forget_all() -> None:
    for wakeups in list(_all):
        wakeups.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
