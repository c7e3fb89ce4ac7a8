"""Wake those who wait for a change, in any process of the machine, without a poll hotter than twice a second.

    wakeups = Wakeups(folder / "state.wake")
    wakeups.signal("orders")                       # after the commit; costs some 5 µs if nobody listens
    with wakeups.listen("orders") as listener:     # listen, then look, then wait: so no change is missed
        while (row := look()) is None and listener.wait(min(left_s, RECHECK_S)): …

Each process that listens has a named pipe in the folder, and a thread that reads it. Who signals writes a hash
of the name to every pipe there. A pipe whose process died is found by that and removed. Signals are hints: one may
come for nothing (two names with one hash) or get lost (a pipe that cannot be made), so look again every
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

RECHECK_S = 0.5 if hasattr(os, "mkfifo") else 0.02

_RECORD = struct.Struct("=I")
_PIPE_BYTES = 65536


class Listener:
    """Waits for the signals of one or more names. Used by one thread."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def wait(self, timeout_s: float) -> bool:
        """Wait for a signal since the last wait (or since the start); `False` if none came in *timeout_s*."""
        came = self._event.wait(timeout_s)
        self._event.clear()
        return came

    def wake(self) -> None:
        """End the wait, now or as soon as it begins. Safe from any thread."""
        self._event.set()


class Wakeups:
    """Signals between all processes that use the same *folder*, which comes into being by use.

    Safe for many threads. A fork needs no care: the child starts with no listener.
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
            return  # nobody has listened yet
        own = self._pipe  # once: another thread may close it meanwhile
        for pipe in pipes:
            if own is None or pipe != own.path:
                _tell(pipe, keys)

    @contextmanager
    def listen(self, *names: str) -> Iterator[Listener]:
        """Hear the signals of *names* from now on."""
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
        """Stop the thread and remove the pipe; who listens is woken. A second `close` does nothing."""
        with self._lock:
            pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
        self._wake(None)

    def forget(self) -> None:
        """Start anew in a forked child, and leave the pipe to the parent. Called by itself."""
        self._lock = threading.Lock()
        self._listeners = {}
        if self._pipe is not None:
            self._pipe.leave()
            self._pipe = None

    def _open(self) -> None:
        """Have a pipe and its thread, where the operating system lets us."""
        if self._pipe is None:
            with suppress(OSError, AttributeError):  # a full disk, Windows: then `RECHECK_S` must do
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
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        hidden, self.path = folder / f".{name}", folder / name
        os.mkfifo(hidden, 0o600)
        self._descriptor = os.open(hidden, os.O_RDWR)  # a writer too, so that it never reads "end of file"
        hidden.rename(self.path)  # only now: a pipe that nobody reads is taken for a dead one's
        self._heard = heard
        self._closing = False
        self._process = os.getpid()
        self._ending = threading.Lock()
        threading.Thread(target=self._listen, name="capa-sqlite-wakeup", daemon=True).start()

    def close(self) -> None:
        """Make the thread clean up and end. A second `close` does nothing."""
        if os.getpid() != self._process:
            return  # it is the parent's; `_ending` may have been taken when this child was forked
        with (
            self._ending
        ):  # once the thread sees `_closing`, the number of the descriptor may mean another file
            if self._closing:
                return
            self._closing = True
            self.path.unlink(missing_ok=True)
            os.write(self._descriptor, _RECORD.pack(0))

    def leave(self) -> None:
        """In a forked child: let go of it without taking it from the parent."""
        self._closing = True
        os.close(self._descriptor)

    def _listen(self) -> None:
        while not self._closing:
            records = os.read(self._descriptor, _PIPE_BYTES)
            heard = self._heard()
            if heard is not None:
                # Half a pipe at once: it may have been full, and signals lost.
                heard(
                    None
                    if len(records) > _PIPE_BYTES // 2
                    else [key for (key,) in _RECORD.iter_unpack(records)]
                )
            del heard  # else who is dropped would live, and listen, until the next signal
        with self._ending:
            os.close(self._descriptor)


def _key(name: str) -> int:
    return zlib.crc32(name.encode())


def _tell(pipe: Path, keys: Iterable[int]) -> None:
    """Write *keys* to another process's pipe; remove the pipe if that process is dead."""
    try:
        descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            pipe.unlink(missing_ok=True)
        return
    try:
        with suppress(OSError):  # full: then it has enough to wake up for
            os.write(descriptor, b"".join(_RECORD.pack(key) for key in keys))
    finally:
        os.close(descriptor)


_all: weakref.WeakSet[Wakeups] = weakref.WeakSet()


def _forget_all() -> None:
    for wakeups in list(_all):
        wakeups.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
