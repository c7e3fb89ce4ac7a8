"""Bodies above the limit of a message: objects of S3, to which the message points."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from capa_core.components.aws._client import Clients
from capa_core.components.aws._errors import AwsError, of_code
from capa_core.components.aws._names import Names

_AT_ONCE = 1_000


class Bodies:
    """Objects of one bucket, each for one message of one queue, so that its `ack` may delete it."""

    def __init__(self, clients: Clients, bucket: str) -> None:
        self._clients = clients
        self._bucket = bucket

    def store(self, names: Names, data: bytes) -> str:
        """Store *data*, and return its key."""
        key = f"{names.stem}/{uuid4().hex}"
        self._clients.call("s3", "PutObject", self._bucket, Bucket=self._bucket, Key=key, Body=data)
        return key

    def read(self, key: str) -> bytes | None:
        """Return what is stored at *key*; `None` if it is gone."""
        try:
            answer = self._clients.call("s3", "GetObject", self._bucket, Bucket=self._bucket, Key=key)
        except AwsError as error:
            if error.code == "NoSuchKey":
                return None
            raise
        with self._clients.limit("s3"):
            return bytes(answer["Body"].read())

    def delete(self, keys: Sequence[str]) -> None:
        """Delete the objects; nothing for those that are gone.

        Raises:
            AwsError: One may not be deleted.
        """
        for start in range(0, len(keys), _AT_ONCE):
            objects = [{"Key": key} for key in keys[start : start + _AT_ONCE]]
            wanted = {"Objects": objects, "Quiet": True}
            answer = self._clients.call(
                "s3", "DeleteObjects", self._bucket, Bucket=self._bucket, Delete=wanted
            )
            for error in answer.get("Errors", ()):
                place = self._clients.place("s3", self._bucket)
                raise of_code(error.get("Code", ""), error.get("Message", ""), "s3:DeleteObject", place)
