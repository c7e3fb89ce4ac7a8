"""Downloads that never leave half a file under the final name."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from requests.exceptions import (  # the three ways in which a download breaks off
    ChunkedEncodingError,
    ConnectionError as ConnectionFailed,  # not the builtin of that name
    Timeout,
)

if TYPE_CHECKING:
    from requests import Session

CHUNK = 16 * 1024
BROKEN_OFF = (ChunkedEncodingError, ConnectionFailed, Timeout)


def download(session: "Session", url: str, target: Path) -> int:
    """Stream *url* into *target* and return its size; on failure *target* is as it was."""
    partial = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with session.get(url, stream=True) as response, partial.open("wb") as out:
            response.raise_for_status()
            for chunk in response.iter_content(CHUNK):
                out.write(chunk)
        os.replace(partial, target)
    except BROKEN_OFF:
        partial.unlink(missing_ok=True)
        raise
    return target.stat().st_size
