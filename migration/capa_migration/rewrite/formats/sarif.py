"""SARIF 2.1.0, for code scanning: a result for each remark, with the edit that resolves it, if there is one.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import quote

from capa_codemods.api import Edit, __version__, digest, read_file
from capa_migration.rewrite.explain import Explanation, explanations
from capa_migration.rewrite.remarks import Remark, gravest_first, remarks_of
from capa_migration.rewrite.report import Report

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_MAX_RESULTS = 25_000
"""GitHub's limit for one run: a log with more is rejected as a whole."""


def render(report: Report) -> Iterator[str | bytes]:
    """Yield one log of one run."""
    found = gravest_first(remarks_of(report))
    remarks = found[:_MAX_RESULTS]
    ids = sorted({remark.id for remark in remarks})
    sources = _Sources(report.root)
    run = {
        "tool": {"driver": _driver(ids)},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "the top of the repository"}}},
        "invocations": [_invocation(report, len(found) - len(remarks))],
        "results": [_result(remark, ids, report.prefix, sources) for remark in remarks],
    }
    yield json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


class _Sources:
    """The files of the edits, each read once."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.of = cache(self._read)

    def _read(self, path: str) -> bytes:
        return read_file(f"{self._root}/{path}") or b""


def _invocation(report: Report, left_out: int) -> dict[str, Any]:
    invocation: dict[str, Any] = {"executionSuccessful": report.exit_code < 2, "exitCode": report.exit_code}
    if left_out:
        text = f"{left_out:,} more results are left out: --format json holds them."
        invocation["toolExecutionNotifications"] = [{"level": "warning", "message": {"text": text}}]
    return invocation


def _driver(ids: list[str]) -> dict[str, Any]:
    known = {one.id: one for one in explanations()}
    rules = [_rule(known[ident]) if ident in known else {"id": ident} for ident in ids]
    return {"name": "capa", "semanticVersion": __version__, "rules": rules}


def _rule(one: Explanation) -> dict[str, Any]:
    text = one.text or one.title
    described: dict[str, Any] = {
        "id": one.id,
        "shortDescription": {"text": one.title},
        "help": {"text": text, "markdown": text},
    }
    return {**described, "helpUri": one.url} if one.url else described


def _result(remark: Remark, ids: list[str], prefix: str, sources: _Sources) -> dict[str, Any]:
    artifact = {"uri": quote(os.fsencode(prefix + remark.path)), "uriBaseId": "%SRCROOT%"}
    place: dict[str, Any] = {"artifactLocation": artifact}
    if remark.line:
        place["region"] = {"startLine": remark.line}
    result = {
        "ruleId": remark.id,
        "ruleIndex": ids.index(remark.id),
        "level": remark.level,
        "message": {"text": f"{remark.message}. Next: {remark.next_step}."},
        "locations": [{"physicalLocation": place}],
        # Independent of lines, which move: ID, path and message.
        "partialFingerprints": {
            "capa/v1": digest(f"{remark.id}\0{remark.path}\0{remark.message}".encode(errors="replace"))
        },
    }
    if remark.edit is not None:
        result["fixes"] = [_fix(remark, remark.edit, artifact, sources.of(remark.path))]
    return result


def _fix(remark: Remark, edit: Edit, artifact: dict[str, str], data: bytes) -> dict[str, Any]:
    replacement = {
        "deletedRegion": _region(data, edit.start, edit.end),
        "insertedContent": {"text": edit.new.decode(errors="replace")},
    }
    return {
        "description": {"text": remark.message},
        "artifactChanges": [{"artifactLocation": artifact, "replacements": [replacement]}],
    }


def _region(data: bytes, start: int, end: int) -> dict[str, int]:
    """Return the bytes from *start* to *end* of *data* in lines and columns from 1, and in bytes from 0."""
    first, last = _position(data, start), _position(data, end)
    return {
        "startLine": first[0],
        "startColumn": first[1],
        "endLine": last[0],
        "endColumn": last[1],
        "byteOffset": start,
        "byteLength": end - start,
    }


def _position(data: bytes, at: int) -> tuple[int, int]:
    begin = data.rfind(b"\n", 0, at) + 1
    return data.count(b"\n", 0, at) + 1, len(data[begin:at].decode(errors="replace")) + 1
