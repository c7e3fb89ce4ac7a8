"""Files in S3: uploads in parts, copies in parts, objects of other programs, errors; on moto, an emulator."""

import pytest
from servers._process import free_port

from capa_core.blocks.files import Files
from capa_core.components.aws import _objects, s3
from capa_core.components.aws.s3 import S3Files, S3FilesSettings
from capa_core.errors import ConflictError, InvalidArgumentError, UnavailableError

pytestmark = [pytest.mark.server("aws"), pytest.mark.timeout(60, func_only=True)]

MIB = 1024**2
PART = 5 * MIB


@pytest.fixture
def files(moto_url, aws_credentials, bucket):
    settings = S3FilesSettings(endpoint_url=moto_url, bucket=bucket, prefix="up/", part_bytes=PART)
    with Files(S3Files(settings), name="uploads") as files:
        yield files


@pytest.fixture
def client(aws):
    return aws("s3")


def unfinished(client, bucket):
    return client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


@pytest.mark.parametrize("size", [PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 7])
def test_a_content_of_any_number_of_parts_is_whole(files, client, bucket, size):
    content = (b"0123456789" * (size // 10 + 1))[:size]
    files.put("stream", iter([content]), content_type="text/plain", metadata={"a": "ü"})
    files.put("bytes", content)
    info = files.stat("stream")

    assert content == files.get("stream") == files.get("bytes")
    assert ("text/plain", {"a": "ü"}) == (info.content_type, info.metadata)
    assert [] == unfinished(client, bucket)


@pytest.mark.parametrize("failing", ["source", "conflict"])
def test_an_upload_that_fails_leaves_no_parts(files, client, bucket, failing):
    def source():
        yield bytes(PART + 1)
        if failing == "source":
            raise OSError("the caller's own")
        files.put("k", b"theirs")

    with pytest.raises((OSError, ConflictError)):
        files.put("k", source(), if_etag="")

    assert [] == unfinished(client, bucket)


def test_the_end_of_a_conditional_upload_names_the_etag(files, monkeypatch):
    """The request is looked at: moto takes no notice of it."""
    from capa_core.components.aws._client import Clients

    etag, sent, call = files.put("k", b"x"), [], Clients.call

    def noted(self, service, action, place="", **request):
        sent.append((action, request.get("IfMatch")))
        return call(self, service, action, place, **request)

    monkeypatch.setattr(Clients, "call", noted)
    files.put("k", bytes(PART), if_etag=etag)

    assert ("CompleteMultipartUpload", f'"{etag}"') == sent[-1]


def test_a_large_file_is_copied_in_parts(files, monkeypatch):
    monkeypatch.setattr(s3, "_LARGEST_COPY", PART)
    monkeypatch.setattr(s3, "_COPY_PART", PART)
    content = b"abcdefg" * (2 * MIB)
    files.put("from", content, content_type="text/plain", metadata={"a": "ü"})
    etag = files.copy("from", "to")
    info = files.stat("to")

    assert content == files.get("to")
    assert (etag, "text/plain", {"a": "ü"}) == (info.etag, info.content_type, info.metadata)
    assert etag.endswith("-3")


def test_objects_have_the_keys_of_files_below_the_prefix(files, client, bucket):
    client.put_object(Bucket=bucket, Key="elsewhere", Body=b"x")
    client.put_object(Bucket=bucket, Key="up/a/theirs", Body=b"theirs", Metadata={"X": "=?UTF-8?Q?=C3=BC?="})
    files.put("a/mine", b"mine")

    assert ["a/mine", "a/theirs"] == [each.key for each in files.scan()]
    assert (b"theirs", {"x": "ü"}) == (files.get("a/theirs"), files.stat("a/theirs").metadata)
    assert b"mine" == client.get_object(Bucket=bucket, Key="up/a/mine")["Body"].read()


def test_no_two_keys_have_the_same_object():
    parts = [".", "..", "=2E", "=2E=2E", "=3D2E", "=", "=3D", "=3D3D", "", "...", "=2Ea", "a=2E", "a"]
    keys = [f"{first}/{second}" for first in parts for second in parts]
    stored = {_objects.stored_key(key): key for key in keys}

    assert len(keys) == len(stored)
    assert stored == {each: _objects.own_key(each) for each in stored}
    assert not {".", ".."} & {part for each in stored for part in each.split("/")}


def test_a_server_that_is_down_is_unavailable(aws_credentials):
    settings = S3FilesSettings(endpoint_url=f"http://127.0.0.1:{free_port()}", bucket="b", timeout_s=0.5)
    with Files(S3Files(settings)) as files, pytest.raises(UnavailableError):
        files.stat("k")


def test_limits_are_those_of_the_settings():
    driver = S3Files(S3FilesSettings(bucket="b", part_bytes=PART))

    assert (10_000 * PART, 7 * 24 * 3600) == (driver.limits.max_file_bytes, driver.limits.max_url_s)
    for wrong in (
        {"bucket": ""},
        {"bucket": "b", "part_bytes": PART - 1},
        {"bucket": "b", "prefix": "x" * 257},
    ):
        with pytest.raises(ValueError):
            S3FilesSettings(**wrong)


def test_addresses_on_aws_are_those_of_the_region():
    settings = S3FilesSettings(
        bucket="my-bucket", region="eu-central-1", access_key_id="a", secret_access_key="b"
    )
    with Files(S3Files(settings)) as files:
        url = files.url("a b", expires=60)

    assert url.startswith(
        "https://my-bucket.s3.eu-central-1.amazonaws.com/a%20b?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    )


def test_an_address_without_credentials_is_refused(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with Files(S3Files(S3FilesSettings(bucket="b", region="eu-central-1"))) as files:
        with pytest.raises(PermissionError):
            files.url("k", expires=60)
        with pytest.raises(InvalidArgumentError, match="max_url_s"):
            files.url("k", expires=8 * 24 * 3600)
