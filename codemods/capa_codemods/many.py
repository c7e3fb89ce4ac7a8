"""Do one thing to many files: in order, in two processes when that pays, and in spite of a parser that crashes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

T = TypeVar("T")
Work = Callable[[str], T | None]

PAYS_ABOVE = 200
"""Files to parse from which on starting a second process costs less than it saves."""

_CHUNK = 16
_work: Work[Any] | None = None


def each(work: Work[T], paths: Sequence[str], crashed: Callable[[str], T]) -> Iterator[T | None]:
    """Yield what *work* returns for each of *paths*, in order; None is for a file not worth a word.

    *crashed* gives the answer for a file that takes its process down.
    """
    if len(paths) <= PAYS_ABOVE or (os.cpu_count() or 1) < 2 or not hasattr(os, "fork"):
        yield from map(work, paths)
        return
    chunks = [paths[at : at + _CHUNK] for at in range(0, len(paths), _CHUNK)]
    with _pool(work, 2) as pool:
        futures = [pool.submit(_do_chunk, chunk) for chunk in chunks]
        for chunk, future in zip(chunks, futures, strict=True):
            yield from _results(work, chunk, future, crashed)


def _results(
    work: Work[T], chunk: Sequence[str], future: Future[dict[int, T]], crashed: Callable[[str], T]
) -> Iterator[T | None]:
    from concurrent.futures.process import BrokenProcessPool

    try:
        told = future.result()
    except BrokenProcessPool:
        yield from (_do_apart(work, path, crashed) for path in chunk)
    else:
        yield from (told.get(number) for number in range(len(chunk)))


def _do_apart(work: Work[T], path: str, crashed: Callable[[str], T]) -> T | None:
    """Do one file in a process of its own, which it may take down."""
    from concurrent.futures.process import BrokenProcessPool

    with _pool(work, 1) as pool:
        try:
            return pool.submit(_do_chunk, [path]).result().get(0)
        except BrokenProcessPool:
            return crashed(path)


def _pool(work: Work[Any], size: int) -> ProcessPoolExecutor:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # Forked, so that the workers have the rules and the maps without loading them again.
    context = multiprocessing.get_context("fork")
    return ProcessPoolExecutor(size, context, initializer=_begin, initargs=(work,))


def _begin(work: Work[Any]) -> None:
    global _work  # noqa: PLW0603 - the one way to hand a worker what it works with
    _work = work
    import gc

    gc.freeze()


def _do_chunk(paths: Sequence[str]) -> dict[int, Any]:
    """Do *paths* in a worker; only what is worth a word travels back, by number."""
    assert _work is not None  # noqa: S101 - `_begin` ran first
    results = enumerate(map(_work, paths))
    return {number: result for number, result in results if result is not None}
