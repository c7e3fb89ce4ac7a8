"""The encodings of files that list requirements."""

from __future__ import annotations

import codecs

_MARKS_OF_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def text_in(data: bytes) -> str:
    """Return *data* as text: in UTF-16 if it begins so, as PowerShell writes and pip reads it, else in UTF-8.

    Bytes that are neither are replaced.
    """
    encoding = "utf-16" if data.startswith(_MARKS_OF_UTF16) else "utf-8"
    return data.decode(encoding, errors="replace")
