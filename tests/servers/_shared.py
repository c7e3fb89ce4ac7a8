"""Servers that take long to start: one for all workers of a run."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from parallel import locked


@contextmanager
def shared(folder: Path, started: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """Yield the address of the server of *folder*, for the length of a `with` block.

    The first worker that asks starts it, and stops it when the others need it no more.

    Args:
        started: Starts the server, for the length of a `with` block of its address.
    """
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
