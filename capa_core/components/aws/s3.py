"""Files in a bucket of S3."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Annotated, Any

import boto3
from botocore.client import BaseClient
from pydantic import Field, StringConstraints, model_validator

from capa_core.abilities import NATIVE
from capa_core.blocks.files.driver import (
    FileInfo,
    FilePage,
    FilePut,
    FilesDriver,
    FilesFeature,
    FilesLimits,
    FileStream,
    Method,
)
from capa_core.components.aws import _objects
from capa_core.components.aws._deadline import Limit
from capa_core.components.aws._driver import AwsDriver
from capa_core.components.aws._errors import AwsError, of_code
from capa_core.components.aws._settings import AwsSettings
from capa_core.components.aws._uploads import grouped, uploading
from capa_core.errors import ConflictError

_SERVICE = "s3"
_MOST_PARTS = 10_000
_LONGEST_URL_S = 7 * 24 * 3600
_LARGEST_COPY = 1024**3
"""A larger file is copied in parts: one request takes at most 5 GiB, and long without a word."""
_COPY_PART = 256 * 1024**2
_SLOW = frozenset(("CompleteMultipartUpload", "CopyObject", "UploadPartCopy"))
_SLOW_S = 60.0
"""Seconds that an action may take longer which moves a whole file within S3."""
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}|arn:\S+")
"""As boto3 has it: old buckets have longer names than new ones, with capitals and `_`."""
_MISSING = frozenset(("404", "NotFound", "NoSuchKey"))
_CONFLICTS = frozenset(("PreconditionFailed", "ConditionalRequestConflict", "412"))


class S3FilesSettings(AwsSettings):
    """The bucket of the files.

    Attributes:
        bucket: The bucket, which is there.
        prefix: The beginning of the keys of all files, such as `uploads/`; keys in code are without it.
        part_bytes: The size of the parts in which a stream is sent, each held in memory. S3 takes 10,000 of them: the
            largest file is 78 GiB by default.
    """

    bucket: str = ""
    prefix: Annotated[str, StringConstraints(max_length=256)] = ""
    part_bytes: int = Field(default=8 * 1024**2, ge=5 * 1024**2, le=5 * 1024**3)

    @model_validator(mode="after")
    def _check_bucket(self) -> S3FilesSettings:
        if not self.bucket:
            raise ValueError("bucket is missing. Name the bucket that holds the files.")
        if not _BUCKET.fullmatch(self.bucket):
            raise ValueError(
                f"bucket is {self.bucket!r}. Give its name, of a-z, 0-9, `.` and `-`, or an access point's ARN."
            )
        return self


class S3Files(AwsDriver[S3FilesSettings], FilesDriver[S3FilesSettings]):
    """Objects of one bucket. A stream longer than a part is an upload in parts, which is aborted if it fails.

    Keys are those of the objects, but for `.` and `..` between two `/`, which S3 refuses: `=2E` and `=2E=2E`. Listings
    have the order of these.
    """

    settings_type = S3FilesSettings
    features = dict.fromkeys(FilesFeature, NATIVE)

    def __init__(self, settings: S3FilesSettings) -> None:
        super().__init__(settings)
        self._has_answered = False  # whether the bucket is known to be there

    @property
    def limits(self) -> FilesLimits:
        """See `FilesDriver.limits`."""
        return FilesLimits(max_file_bytes=_MOST_PARTS * self.settings.part_bytes, max_url_s=_LONGEST_URL_S)

    def put(self, write: FilePut, pieces: Iterator[bytes]) -> str | None:
        """See `FilesDriver.put`."""
        if write.if_etag and not _objects.is_etag(write.if_etag):
            return None
        parts = grouped(pieces, self.settings.part_bytes)
        first = next(parts, b"")
        try:
            if len(first) < self.settings.part_bytes:
                return self._put_whole(write, first)
            if write.if_etag is not None and not self._matches(write):
                return None  # before the rest is sent in vain
            return self._put_parts(write, chain((first,), parts))
        except AwsError as error:
            if write.if_etag is not None and error.code in (_CONFLICTS | _MISSING):
                return None
            raise

    def open(self, key: str, offset: int, length: int | None, etag: str | None) -> FileStream | None:
        """See `FilesDriver.open`."""
        wanted: dict[str, Any] = {} if etag is None else {"IfMatch": f'"{etag}"'}
        if offset or length:
            wanted["Range"] = f"bytes={offset}-{offset + length - 1 if length else ''}"
        try:
            answer = self._call("GetObject", Key=self._key(key), **wanted)
        except AwsError as error:
            return self._not_opened(key, error)
        return self._stream(_objects.info(key, answer), answer["Body"])

    def stat(self, key: str) -> FileInfo | None:
        """See `FilesDriver.stat`."""
        try:
            return _objects.info(key, self._head(key))
        except AwsError as error:
            if error.code in _MISSING:
                return None
            raise

    def page(self, prefix: str, *, by_folder: bool, token: str, most: int) -> FilePage:
        """See `FilesDriver.page`: the token is S3's own."""
        wanted = {"Prefix": self._stored_prefix(prefix), "MaxKeys": most}
        wanted |= {"Delimiter": "/"} if by_folder else {}
        wanted |= {"ContinuationToken": token} if token else {}
        answer = self._call("ListObjectsV2", **wanted)
        return FilePage(
            files=[_objects.entry(self._own(each["Key"]), each) for each in answer.get("Contents", ())],
            prefixes=[self._own(each["Prefix"]) for each in answer.get("CommonPrefixes", ())],
            token=answer.get("NextContinuationToken", "") if answer.get("IsTruncated") else "",
        )

    def delete(self, key: str) -> None:
        """See `FilesDriver.delete`."""
        self._call("DeleteObject", Key=self._key(key))

    def delete_many(self, keys: Sequence[str]) -> None:
        """See `FilesDriver.delete_many`.

        Raises:
            AwsError: One may not be deleted.
        """
        stored = [self._key(key) for key in keys]
        for one in filter(_objects.NOT_IN_XML.search, stored):
            self._call("DeleteObject", Key=one)
        wanted = [{"Key": one} for one in stored if not _objects.NOT_IN_XML.search(one)]
        if not wanted:
            return
        answer = self._call("DeleteObjects", Delete={"Objects": wanted, "Quiet": True})
        for error in answer.get("Errors", ()):
            place = self.connections.place(_SERVICE, self.settings.bucket)
            raise of_code(error.get("Code", ""), error.get("Message", ""), "s3:DeleteObject", place)

    def copy(self, source: str, target: str) -> str | None:
        """See `FilesDriver.copy`: within S3, without a way through this process."""
        try:
            found = self._head(source)
            if found["ContentLength"] > _LARGEST_COPY:
                return self._copied_in_parts(source, target, found)
            answer = self._call("CopyObject", Key=self._key(target), CopySource=self._source(source))
        except AwsError as error:
            if error.code in _MISSING:
                return None
            raise
        return str(answer["CopyObjectResult"]["ETag"]).strip('"')

    def url(self, key: str, method: Method, expires_s: int, content_type: str | None) -> str:
        """See `FilesDriver.url`; it ends with the credentials that signed it, if those end sooner."""
        wanted = {"Bucket": self.settings.bucket, "Key": self._key(key)}
        if content_type is not None and method == "PUT":
            wanted["ContentType"] = content_type
        action = {"GET": "get_object", "PUT": "put_object"}[method]
        client = self.connections.client(_SERVICE)
        return str(client.generate_presigned_url(action, Params=wanted, ExpiresIn=expires_s))

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Driver.clients`: boto3's client of S3, safe for many threads, and its session, which is not."""
        return {
            BaseClient: lambda: self.connections.native(_SERVICE),
            boto3.Session: self.connections.session,
        }

    def ping(self) -> str:
        """See `Driver.ping`."""
        self._call("ListObjectsV2", Prefix=self.settings.prefix, MaxKeys=1)
        return f"AWS S3, bucket {self.connections.place(_SERVICE, self.settings.bucket)}"

    def _put_whole(self, write: FilePut, content: bytes | bytearray) -> str:
        described = {**_described(write), **_conditions(write)}
        if content:  # boto3 would ask the server to go on with an empty body, for which some wait for ever
            described["Body"] = content
        answer = self._call("PutObject", Key=self._key(write.key), **described)
        return str(answer["ETag"]).strip('"')

    def _put_parts(self, write: FilePut, parts: Iterator[bytes | bytearray]) -> str:
        with uploading(self._call, self._key(write.key), _described(write)) as upload:
            for part in parts:
                upload.add(part)
            return upload.complete(**_conditions(write))

    def _copied_in_parts(self, source: str, target: str, found: Mapping[str, Any]) -> str:
        described = {name: found[name] for name in ("ContentType", "Metadata") if name in found}
        size, same = found["ContentLength"], {"CopySourceIfMatch": found["ETag"]}
        with uploading(self._call, self._key(target), described) as upload:
            for start in range(0, size, _COPY_PART):
                part = f"bytes={start}-{min(start + _COPY_PART, size) - 1}"
                upload.add_copy(CopySource=self._source(source), CopySourceRange=part, **same)
            return upload.complete()

    def _not_opened(self, key: str, error: AwsError) -> FileStream | None:
        """Return what `open` returns where S3 answers with *error*."""
        if error.code in _MISSING:
            return None
        if error.code in _CONFLICTS:
            raise ConflictError(f"{key!r} has another content since it was opened") from error
        if error.code not in ("InvalidRange", "416"):
            raise error
        found = self.stat(key)  # the part begins at its end or later
        return None if found is None else self._stream(found, None)

    def _stream(self, info: FileInfo, body: Any) -> _S3Stream:
        return _S3Stream(info, body, self.settings.timeout_s)

    def _head(self, key: str) -> Any:
        """Return S3's answer about *key*. To a HEAD it gives no reason: a GET that is refused as well brings it.

        So does the first one for a file that is not there, since a bucket that is not there is told in the same way.
        """
        try:
            return self._call("HeadObject", Key=self._key(key))
        except AwsError as error:
            if not error.code.isdecimal() or (error.code in _MISSING and self._has_answered):
                raise
            self._call("GetObject", Key=self._key(key), Range="bytes=0-0")["Body"].close()
            raise

    def _matches(self, write: FilePut) -> bool:
        found = self.stat(write.key)
        return write.if_etag == (found.etag if found else "")

    def _call(self, action: str, **request: Any) -> Any:
        bucket = self.settings.bucket
        waits_s = _SLOW_S if action in _SLOW else 0.0
        try:
            answer = self.connections.call(
                _SERVICE, action, bucket, waits_s=waits_s, Bucket=bucket, **request
            )
        except AwsError as error:
            self._has_answered |= error.code == "NoSuchKey"
            raise
        self._has_answered = True
        return answer

    def _source(self, key: str) -> dict[str, str]:
        return {"Bucket": self.settings.bucket, "Key": self._key(key)}

    def _key(self, key: str) -> str:
        return self.settings.prefix + _objects.stored_key(key)

    def _own(self, stored: str) -> str:
        return _objects.own_key(stored.removeprefix(self.settings.prefix))

    def _stored_prefix(self, prefix: str) -> str:
        """Return the prefix of the stored keys: the last part of *prefix* may go on, so that it is no part yet."""
        folders, slash, rest = prefix.rpartition("/")
        return self.settings.prefix + (_objects.stored_key(folders) + slash if slash else "") + rest


class _S3Stream(FileStream):
    """The body of an answer; none for a part past the end. It has *timeout_s* for each 64 KiB."""

    def __init__(self, info: FileInfo, body: Any, timeout_s: float) -> None:
        self.info = info
        self._body = body
        self._timeout_s = timeout_s

    def read(self, size: int) -> bytes:
        """See `FileStream.read`."""
        if self._body is None:
            return b""
        with Limit(self._timeout_s, renews=True):
            return bytes(self._body.read(size))

    def close(self) -> None:
        """See `FileStream.close`: the connection ends, if there is more to come."""
        if self._body is not None:
            with suppress(OSError):
                self._body.close()


def _described(write: FilePut) -> dict[str, Any]:
    return {"ContentType": write.content_type, "Metadata": _objects.stored_metadata(write.metadata)}


def _conditions(write: FilePut) -> dict[str, str]:
    if write.if_etag is None:
        return {}
    return {"IfMatch": f'"{write.if_etag}"'} if write.if_etag else {"IfNoneMatch": "*"}
