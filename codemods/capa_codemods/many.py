"""Examine many files: in order, in two processes when that pays, and in spite of a parser that crashes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from capa_codemods.findings import Outcome
from capa_codemods.rewrite import Rewrite

PAYS_ABOVE = 600
"""Files from which on starting a second process costs less than it saves; about a tenth of them get parsed."""

_CHUNK = 100
_rewrite: Rewrite | None = None


def examine_all(rewrite: Rewrite, paths: Sequence[str]) -> Iterator[Outcome]:
    """Yield the outcome of each of *paths*, in order."""
    if len(paths) <= PAYS_ABOVE or (os.cpu_count() or 1) < 2 or not hasattr(os, "fork"):
        yield from map(rewrite.examine, paths)
        return
    chunks = [paths[at : at + _CHUNK] for at in range(0, len(paths), _CHUNK)]
    with _pool(rewrite, 2) as pool:
        futures = [pool.submit(_examine_chunk, chunk) for chunk in chunks]
        for chunk, future in zip(chunks, futures, strict=True):
            told = _told(rewrite, chunk, future)
            yield from (told.get(path) or Outcome(path, "clean") for path in chunk)


def _told(rewrite: Rewrite, chunk: Sequence[str], future: Future[list[Outcome]]) -> dict[str, Outcome]:
    try:
        outcomes = future.result()
    except BrokenProcessPool:
        outcomes = [_examine_apart(rewrite, path) for path in chunk]
    return {outcome.path: outcome for outcome in outcomes}


def _examine_apart(rewrite: Rewrite, path: str) -> Outcome:
    """Examine one file in a process of its own, which it may take down."""
    with _pool(rewrite, 1) as pool:
        try:
            return (pool.submit(_examine_chunk, [path]).result() or [Outcome(path, "clean")])[0]
        except BrokenProcessPool:
            step = "change its imports by hand, or leave it out with --exclude"
            return Outcome(path, "failed", reason="Python's parser crashes on it", next_step=step)


def _pool(rewrite: Rewrite, size: int) -> ProcessPoolExecutor:
    import multiprocessing

    # Forked, so that the workers have the rules and the maps without loading them again.
    context = multiprocessing.get_context("fork")
    return ProcessPoolExecutor(size, context, initializer=_begin, initargs=(rewrite,))


def _begin(rewrite: Rewrite) -> None:
    global _rewrite  # noqa: PLW0603 - the one way to hand a worker what it works with
    _rewrite = rewrite
    import gc

    gc.freeze()


def _examine_chunk(paths: Sequence[str]) -> list[Outcome]:
    """Examine *paths* in a worker; only what is worth a word travels back."""
    assert _rewrite is not None  # noqa: S101 - `_begin` ran first
    outcomes = map(_rewrite.examine, paths)
    return [outcome for outcome in outcomes if outcome.status != "clean" or outcome.findings]
