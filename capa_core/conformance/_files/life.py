"""Abilities, sharing, forks, closing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from capa_core.blocks.files import Files, FilesDriver, FilesFeature
from capa_core.conformance._files.suite import (
    Connect,
    Suite,
)
from capa_core.conformance._processes import in_children
from capa_core.errors import (
    ClosedError,
)


class LifePromises(Suite):
    """The promises of declared abilities and of the life of a component."""

    def test_declares_every_ability(self, driver: FilesDriver[Any]) -> None:
        assert set(FilesFeature) == set(driver.features)

    def test_gives_a_reason_for_each_missing_ability(self, driver: FilesDriver[Any]) -> None:
        assert [] == [each for each, support in driver.features.items() if not support and not support.note]

    def test_has_every_ability_of_level_0(self, driver: FilesDriver[Any]) -> None:
        assert [] == [each for each, support in driver.features.items() if each.level == 0 and not support]

    def test_threads_and_readers_see_whole_files(self, files: Files) -> None:
        contents = [bytes([number]) * 100_000 for number in range(4)]
        files.put("k", contents[0], metadata={"n": "0"})

        def work(number: int) -> list[bytes]:
            read = []
            for _ in range(8):
                files.put("k", contents[number], metadata={"n": str(number)})
                with files.open("k") as reader:
                    read.append(reader.info.metadata["n"].encode() + reader.read())
            return read

        with ThreadPoolExecutor(4) as threads:
            read = {each for found in threads.map(work, range(4)) for each in found}

        assert read <= {b"%d" % number + content for number, content in enumerate(contents)}

    def test_processes_see_the_same_files_if_declared(self, connect: Connect, files: Files) -> None:
        files.put("k", b"mine")

        def work(number: int) -> bool:
            with Files(connect()) as theirs:
                theirs.put(f"from {number}", b"theirs")
                return theirs.stat("k") is not None

        seen = in_children(2, work)
        shared = bool(files.features[FilesFeature.SHARED])

        assert [shared] * 2 == seen
        assert (["from 0", "from 1", "k"] if shared else ["k"]) == [each.key for each in files.scan()]

    def test_files_last_if_declared(self, connect: Connect) -> None:
        with Files(connect()) as first:
            first.put("k", b"x", metadata={"a": "b"})
            lasts = bool(first.features[FilesFeature.DURABLE] or first.features[FilesFeature.SHARED])
        with Files(connect()) as second:
            info = second.stat("k")

            assert lasts == (info is not None and info.metadata == {"a": "b"} and second.get("k") == b"x")

    def test_parent_and_child_go_on_after_a_fork(self, files: Files) -> None:
        files.put("k", b"x")

        def child(number: int) -> bytes:
            files.forget()
            files.put(f"of {number}", b"x")
            return files.get("k")

        assert [b"x", b"x"] == in_children(2, child)
        assert b"x" == files.get("k")

    def test_ping_describes_the_engine(self, files: Files) -> None:
        assert files.ping()

    def test_calls_after_close_raise(self, driver: FilesDriver[Any]) -> None:
        files = Files(driver)
        files.close()
        files.close()

        calls: list[Callable[[], object]] = [
            lambda: files.put("k", b"x"), lambda: files.get("k"), lambda: files.stat("k"), files.page, files.ping,
            lambda: files.delete("k"), lambda: list(files.scan()),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(ClosedError):
                call()
