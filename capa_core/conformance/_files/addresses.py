"""Signed addresses."""

from __future__ import annotations

import urllib.request
from datetime import timedelta
from urllib.error import HTTPError

import pytest

from capa_core.blocks.files import Files, FilesFeature
from capa_core.conformance._files.suite import (
    Suite,
    needs,
)
from capa_core.errors import (
    InvalidArgumentError,
    UnsupportedError,
)


class AddressPromises(Suite):
    """The promises of signed addresses."""

    def test_a_signed_address_reads_and_writes_if_declared(self, files: Files) -> None:
        if not files.features[FilesFeature.URL]:
            with pytest.raises(UnsupportedError, match="url"):
                files.url("k", expires=60)
            return
        for key in ("a b/ü%#+", "../up"):
            target = files.url(key, expires=timedelta(minutes=1), method="PUT", content_type="text/plain")
            _send(target, b"content", "text/plain")
            with urllib.request.urlopen(files.url(key, expires=60)) as answer:  # noqa: S310 - http of the engine
                read = answer.read()
            info = files.stat(key)

            assert (b"content", "text/plain") == (read, info and info.content_type)

    def test_an_address_is_for_a_valid_time(self, files: Files) -> None:
        needs(files, FilesFeature.URL)
        longest = files.limits.max_url_s or 10**9
        for expires in (0, -1, longest + 1):
            with pytest.raises(InvalidArgumentError):
                files.url("k", expires=expires)
        with pytest.raises(InvalidArgumentError):
            files.url("k", expires=60, method="DELETE")  # type: ignore[arg-type]
        with pytest.raises(HTTPError), urllib.request.urlopen(files.url("missing", expires=60)):  # noqa: S310
            pass


def _send(url: str, content: bytes, content_type: str) -> None:
    request = urllib.request.Request(  # noqa: S310 - http of the engine
        url, data=content, method="PUT", headers={"Content-Type": content_type}
    )
    urllib.request.urlopen(request).close()  # noqa: S310
