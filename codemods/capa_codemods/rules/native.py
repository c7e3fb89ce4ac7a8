"""Reads of an Apollo client that equal one line of Capa's own API: they become that line.

    client = ApolloClient("shop", "default", "http://apollo:8080")   →   (the same)
    client.get_value("limit", "10")       →   default_runtime().configuration("settings").value(
                                                  "limit", "10", application="shop")
    client.get_value("limit", namespace="web")   →   ….value("limit", group="web", application="shop")

Only where both are certain to give the same: the client is capa_apollo's `pyapollo` client, made once with arguments
that are written out; its server is a legacy address of `[configuration.settings]` in capa.toml, and no profile has
components of configuration of its own; the file does nothing with the client but `get_value` and `start`, and no
other file of the tree that knows its name stops a client; the namespace is not a document.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from capa_codemods.findings import Edit
from capa_codemods.project import Project, legacy_of
from capa_codemods.read.calls import calls_in_strings, is_ignored, with_argument
from capa_codemods.read.files import read_file
from capa_codemods.read.meaning import Meanings
from capa_codemods.read.python_file import PythonFile
from capa_codemods.rule import Rule

_CLIENTS = frozenset({"capa_apollo.pyapollo.apollo_client.ApolloClient", "capa_apollo.pyapollo.ApolloClient"})
_MADE = frozenset(f"{client}()" for client in _CLIENTS)
_ARGUMENTS = ("app_id", "cluster", "config_server_url")
_RUNTIME = "default_runtime"
_IMPORT = f"from capa_core import {_RUNTIME}"


class _Client(NamedTuple):
    """A client that is made once, and whose every use is known."""

    component: str
    application: str
    label: str


class Native(Rule[PythonFile]):
    """Read configuration through Capa's own API."""

    id = "native"
    summary = (
        "reads of an Apollo client on Capa become reads of the configuration block, where that is the same"
    )
    reads = PythonFile
    changes_shape = True
    words = ("ApolloClient",)

    def check(self, file: PythonFile, project: Project) -> Iterator[Edit]:
        """Yield the edits of each read that can be one line of Capa's own, and the import that they need."""
        meanings = Meanings(file.tree)
        clients = dict(_clients(file, meanings, project))
        edits: list[Edit] = []
        for call in _reads(file.tree):
            assert isinstance(call.func, ast.Attribute)  # noqa: S101 - as `_reads` requires
            holder = call.func.value
            client = clients.get(ast.unparse(holder)) if meanings.of(holder) in _MADE else None
            if client and _is_plain(call) and not is_ignored(file, call, self.id):
                edits += self._read(file, call, client)
        imported = self._import(file, meanings) if edits else None
        if imported is not None:
            yield from (*imported, *edits)

    def _read(self, file: PythonFile, call: ast.Call, client: _Client) -> Iterator[Edit]:
        label = f", label={json.dumps(client.label)}" if client.label else ""
        scope = with_argument(file, call, f"application={json.dumps(client.application)}{label}", self.id)
        if scope is None:
            return
        start = file.places.offset(call.func.lineno, call.func.col_offset)
        end = file.places.offset(call.func.end_lineno or 0, call.func.end_col_offset or 0)
        component = f"{_RUNTIME}().configuration({json.dumps(client.component)}).value"
        yield Edit(start, end, component.encode(), self.id)
        for keyword in call.keywords:
            at = file.places.offset(keyword.lineno, keyword.col_offset)
            name = {"namespace": "group", "default_val": "default"}[str(keyword.arg)]
            yield Edit(at, at + len(str(keyword.arg)), name.encode(), self.id)
        yield scope

    def _import(self, file: PythonFile, meanings: Meanings) -> list[Edit] | None:
        """Return the edit that imports the names for the reads, none if they are imported; None if they cannot be."""
        if _RUNTIME.encode() in file.data:
            nodes = list(ast.walk(file.tree))
            uses = [node for node in nodes if isinstance(node, ast.Name) and node.id == _RUNTIME]
            is_ours = bool(uses) and all(meanings.of(use) == f"capa_core.{_RUNTIME}" for use in uses)
            has_shadow = any(isinstance(node, ast.arg) and node.arg == _RUNTIME for node in nodes)
            return [] if is_ours and not has_shadow else None
        for node in file.tree.body:
            is_place = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("capa_apollo")
            if is_place and not is_ignored(file, node, self.id):
                newline = b"\r\n" if b"\r\n" in file.data else b"\n"
                end = file.places.offset(node.end_lineno or 0, node.end_col_offset or 0)
                line = re.compile(rb"[ \t]*(?:#[^\r\n]*)?(?=\r?\n)").match(file.data, end)
                return [Edit(line.end(), line.end(), newline + _IMPORT.encode(), self.id)] if line else None
        return None


def _clients(file: PythonFile, meanings: Meanings, project: Project) -> Iterator[tuple[str, _Client]]:
    """Yield the name of each client that is certain."""
    for node in file.tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        target = node.targets[0]
        if (
            meanings.of(node.value.func) in _CLIENTS
            and len(node.targets) == 1
            and isinstance(target, ast.Name)
        ):
            client = _client(node.value, project)
            if (
                client
                and _is_only_read(target.id, file.tree)
                and not _may_be_stopped(target.id, file, project)
            ):
                yield target.id, client


def _client(call: ast.Call, project: Project) -> _Client | None:
    given = dict(zip(_ARGUMENTS, call.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    texts = {name: value.value for name, value in given.items() if isinstance(value, ast.Constant)}
    application, url = texts.get("app_id"), texts.get("config_server_url")
    cluster = texts.get("cluster", "default")
    is_known = given.keys() == texts.keys() <= set(_ARGUMENTS) and len(call.args) <= len(_ARGUMENTS)
    if not is_known or any(keyword.arg is None for keyword in call.keywords):
        return None
    if (
        not isinstance(application, str)
        or not isinstance(url, str)
        or not isinstance(cluster, str)
        or not cluster
    ):
        return None
    component = _component(url, project) if application else None
    return _Client(component, application, "" if cluster == "default" else cluster) if component else None


def _component(url: str, project: Project) -> str | None:
    """Return the logical name of the configuration at *url*, in every profile."""
    profiles = project.components("profiles").values()
    if any("configuration" in profile for profile in profiles if isinstance(profile, dict)):
        return None
    tables = project.components("configuration")
    return next(
        (name for name, table in tables.items() if _plain(url) in map(_plain, legacy_of(table))), None
    )


def _plain(url: str) -> tuple[str, str | None, int | None, str]:
    try:
        parts = urlsplit(url.strip())
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return url, None, None, ""
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/").lower()


def _is_only_read(name: str, tree: ast.Module) -> bool:
    """Return whether the file binds *name* once and does nothing with it but to read values and to start."""
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name]
    known = {
        id(node.func.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"get_value", "start"}
    }
    stores = [node for node in uses if isinstance(node.ctx, ast.Store)]
    shadows = [
        node
        for node in ast.walk(tree)
        if getattr(node, "arg", None) == name or getattr(node, "name", None) == name
    ]
    return len(stores) == 1 and not shadows and all(node in stores or id(node) in known for node in uses)


def _may_be_stopped(name: str, file: PythonFile, project: Project) -> bool:
    word = re.compile(rb"\b" + re.escape(name.encode()) + rb"\b")
    for path in project.files:
        if path.endswith((".py", ".ipynb")) and path != file.path:
            try:
                data = read_file(f"{project.root}/{path}") or b""
            except OSError:
                return True
            if b".stop" in data and word.search(data):
                return True
    return False


def _reads(tree: ast.Module) -> Iterator[ast.Call]:
    in_strings = set(calls_in_strings(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or id(node) in in_strings:
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr == "get_value":
            yield node


def _is_plain(call: ast.Call) -> bool:
    """Return whether every argument of *call* has its counterpart, and the namespace is not a document."""
    names = [keyword.arg for keyword in call.keywords]
    if not 1 <= len(call.args) <= 2 or any(isinstance(argument, ast.Starred) for argument in call.args):
        return False
    if not set(names) <= {"namespace", "default_val"} or (len(call.args) == 2 and "default_val" in names):
        return False
    spaces = [keyword.value for keyword in call.keywords if keyword.arg == "namespace"]
    return all(
        isinstance(space, ast.Constant)
        and isinstance(space.value, str)
        and space.value
        and "." not in space.value
        for space in spaces
    )
