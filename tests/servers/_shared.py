"""Servers that take long to start: one for all workers of a run."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
from parallel import locked


def shared(config: pytest.Config, folder: Path, started: Callable[[], AbstractContextManager[str]]) -> str:
    """Return the address of the server of *folder*, which lasts until the end of the run of this worker.

    The first worker that asks starts it, and stops it when the others need it no more: after its run, as that wait
    would count as time of its last test, which the others may be waiting for in turn.

    Args:
        started: Starts the server, for the length of a `with` block of its address.
    """
    ours = ExitStack()
    config.add_cleanup(ours.close)
    return ours.enter_context(_shared(folder, started))


@contextmanager
def _shared(folder: Path, started: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    address, users = folder / "address", folder / "users"
    with users.open("w") as using, ExitStack() as ours:
        with locked(folder / "lock"):
            if not address.exists():
                address.write_text(ours.enter_context(started()))
                ours.callback(lambda: fcntl.flock(using, fcntl.LOCK_EX))  # waits for the others
            fcntl.flock(using, fcntl.LOCK_SH)
        yield address.read_text()
        fcntl.flock(using, fcntl.LOCK_UN)
