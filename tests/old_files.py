"""Files with time stamps of long ago: a cache does not trust one that was written just now."""

import os
from pathlib import Path

OLD_NS = 10**18


def write_old(folder: str, files: dict[str, str], later_ns: int) -> None:
    """Write *files* to *folder*, stamped *later_ns* after a time long ago; those that stay the same keep theirs."""
    for name, text in files.items():
        path = Path(folder, name)
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            os.utime(path, ns=(OLD_NS + later_ns, OLD_NS + later_ns))
