"""Uploads in parts: an object that appears when the last part is there, or never."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from capa_core.components.aws._errors import AwsError

Call = Callable[..., Any]
"""Calls an action of S3 on one bucket: `call("PutObject", Key=..., Body=...)`."""


class Upload:
    """One upload in parts, numbered from 1."""

    def __init__(self, call: Call, key: str, described: Mapping[str, Any]) -> None:
        self._call = call
        self._place = {"Key": key}
        begun = call("CreateMultipartUpload", **self._place, **described)
        self._place["UploadId"] = begun["UploadId"]
        self._parts: list[dict[str, Any]] = []

    def add(self, data: bytes | bytearray) -> None:
        """Send the next part."""
        self._keep(self._call("UploadPart", **self._place, PartNumber=self._next, Body=data))

    def add_copy(self, **source: Any) -> None:
        """Take the next part from another object."""
        answer = self._call("UploadPartCopy", **self._place, PartNumber=self._next, **source)
        self._keep(answer["CopyPartResult"])

    def complete(self, **conditions: Any) -> str:
        """Make the object of the parts, and return its etag."""
        parts = {"Parts": self._parts}
        done = self._call("CompleteMultipartUpload", **self._place, MultipartUpload=parts, **conditions)
        return str(done["ETag"]).strip('"')

    def abort(self) -> None:
        """Remove the parts: they would be kept, and paid for."""
        self._call("AbortMultipartUpload", **self._place)

    @property
    def _next(self) -> int:
        return len(self._parts) + 1

    def _keep(self, answer: Mapping[str, Any]) -> None:
        checked = {name: value for name, value in answer.items() if name.startswith("Checksum")}
        checked.pop("ChecksumType", None)
        self._parts.append({"PartNumber": self._next, "ETag": answer["ETag"], **checked})


@contextmanager
def uploading(call: Call, key: str, described: Mapping[str, Any]) -> Iterator[Upload]:
    """Begin an upload; what is raised in the block aborts it."""
    upload = Upload(call, key, described)
    try:
        yield upload
    except BaseException:
        with suppress(
            AwsError
        ):  # the first error is the one to tell; the bucket's life cycle removes the parts
            upload.abort()
        raise


def grouped(pieces: Iterator[bytes], size: int) -> Iterator[bytes | bytearray]:
    """Yield the bytes of *pieces* in parts of *size*; the last may be shorter. A part holds until the next is taken."""
    part = bytearray()
    for piece in pieces:
        left = memoryview(piece)
        while left:
            taken = left[: size - len(part)]
            part += taken
            left = left[len(taken) :]
            if len(part) == size:
                yield part
                part = bytearray()
    if part:
        yield part
