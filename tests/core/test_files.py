"""Files: what the portable type adds to a driver."""

import asyncio
import io
import shutil
import zipfile

import pytest

from capa_core import Runtime, aio
from capa_core.blocks.files import Files, FilesFeature
from capa_core.call import Policy
from capa_core.components.memory.files import MemoryFiles, MemoryFilesSettings
from capa_core.errors import ConflictError, InvalidArgumentError, NotFoundError, UnavailableError

CONTENT = bytes(range(256)) * 20_000


class Breaking(MemoryFiles):
    """Streams that break after some bytes, as a connection does; the first ones only."""

    breaks = 2
    after = 300_000
    error: Exception | None = UnavailableError("cut")

    def open(self, key, offset, length, etag):
        self.opened = [*getattr(self, "opened", ()), (offset, length, etag)]
        stream = super().open(key, offset, length, etag)
        if stream is not None and self.breaks:
            self.breaks -= 1
            return _Broken(stream, self.after, self.error)
        return stream


class _Broken:
    def __init__(self, stream, after, error):
        self.info, self._stream, self._left, self._error = stream.info, stream, after, error

    def read(self, size):
        if not self._left and self._error:
            raise self._error
        data = self._stream.read(min(size, self._left))
        self._left -= len(data)
        return data

    def close(self):
        self._stream.close()


@pytest.fixture
def driver():
    return Breaking(MemoryFilesSettings())


@pytest.fixture
def files(driver):
    with Files(driver, name="uploads", policy=Policy(backoff_s=0.001)) as files:
        files.put("k", CONTENT)
        yield files


@pytest.mark.parametrize("error", [UnavailableError("cut"), None], ids=["error", "early end"])
def test_a_read_goes_on_where_the_connection_broke(files, driver, error):
    driver.error = error
    etag = files.stat("k").etag
    target = io.BytesIO()
    with files.open("k", offset=100) as reader:
        shutil.copyfileobj(reader, target)

    assert CONTENT[100:] == target.getvalue()
    assert [100, 300_100, 600_100] == [offset for offset, _, _ in driver.opened]
    assert [None, etag, etag] == [asked for _, _, asked in driver.opened]


def test_a_read_does_not_go_on_in_another_content(files):
    with files.open("k") as reader:
        files.put("k", CONTENT[::-1])
        with pytest.raises(ConflictError, match="another content"):
            reader.read()


def test_a_read_does_not_go_on_in_a_deleted_file(files):
    with files.open("k") as reader:
        files.delete("k")
        with pytest.raises(NotFoundError, match="deleted while it was read"):
            reader.read()


def test_a_read_that_breaks_each_time_fails(files, driver):
    driver.breaks, driver.after = 100, 0
    with pytest.raises(UnavailableError, match="cut"):
        files.get("k")


def test_an_open_file_serves_readers_of_texts_and_archives(files, driver):
    driver.breaks = 0
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a", "ü\nb\n")
    files.put("zip", packed.getvalue())
    files.put("text", "ü\nb\n".encode())
    with files.open("text") as reader, io.TextIOWrapper(reader, "utf-8") as text:
        lines = list(text)
    with zipfile.ZipFile(io.BytesIO(files.get("zip"))) as archive:
        assert ["ü\n", "b\n"] == lines == archive.read("a").decode().splitlines(keepends=True)


def test_a_stream_above_the_limit_stores_nothing(files, monkeypatch):
    monkeypatch.setattr(files, "_max_file_bytes", 5)
    monkeypatch.setattr(files, "_limits", type(files.limits)(max_file_bytes=5))
    for content in (b"123456", iter([b"123", b"456"])):
        with pytest.raises(InvalidArgumentError, match="at most 5 "):
            files.put("new", content)

    assert files.stat("new") is None


def test_copies_and_deletions_are_made_by_the_core(files, driver, monkeypatch):
    from capa_core.abilities import BY_CORE

    monkeypatch.setattr(
        files, "_features", {**driver.features, FilesFeature.COPY: BY_CORE, FilesFeature.BULK: BY_CORE}
    )
    files.put("small", b"x", content_type="text/plain", metadata={"a": "b"})
    files.copy("small", "copy")
    info = files.stat("copy")
    files.copy("k", "large")
    files.delete_many(["small", "k", "missing"])

    assert (b"x", "text/plain", {"a": "b"}) == (files.get("copy"), info.content_type, info.metadata)
    assert (CONTENT, ["copy", "large"]) == (files.get("large"), [each.key for each in files.scan()])
    with pytest.raises(NotFoundError):
        files.copy("k", "copy")


def test_files_in_async_code():
    async def main(files):
        await files.put("k", io.BytesIO(CONTENT))
        async with files.open("k", offset=1) as reader:
            first, size = await reader.read(3), reader.info.size
            rest = b"".join([chunk async for chunk in reader.chunks(1000)])
        return first + rest, size, [each.key async for each in files.scan()]

    with Runtime.in_memory() as runtime:
        assert (CONTENT[1:], len(CONTENT), ["k"]) == asyncio.run(main(aio.files(runtime=runtime)))


def test_the_embedded_files_are_beside_capa_toml(tmp_path):
    with Runtime(start=tmp_path, environ={}) as runtime:
        assert (None, []) == (runtime.files().stat("a/b"), list(tmp_path.iterdir()))
        runtime.files("uploads").put("a/b", b"x")

    assert b"x" == (tmp_path / ".capa/files/a/b").read_bytes()


def test_a_profile_has_no_embedded_files(tmp_path):
    from capa_core.errors import SettingsError

    (tmp_path / "capa.toml").write_text(
        '[profiles.prod.state.default]\ndriver = "redis"\nurl = "redis://h"\n'
    )
    with (
        Runtime(start=tmp_path, environ={"CAPA_PROFILE": "prod"}) as runtime,
        pytest.raises(SettingsError, match="nothing serves files"),
    ):
        runtime.files()
