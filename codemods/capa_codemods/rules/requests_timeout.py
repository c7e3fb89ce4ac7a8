"""Calls of requests without `timeout=`, which may wait without limit: they get the configured one.

    requests.get(url)                      →  requests.get(url, timeout=60)
    with requests.Session() as s:             with requests.Session() as s:
        s.post(url, json=data)                    s.post(url, json=data, timeout=60)

The seconds are `seconds` in `[tool.capa.migrate.requests-timeout]`, else `timeout_s` in `[adapters.requests]` of
capa.toml, else 60, which is capa_requests' own default. With `timeout_s = 0` there is nothing to give.

The rule edits calls of the module's functions and of a `Session`'s methods, through `capa_requests` too, where the
callee is certain. Left alone and noted: `**kwargs` and `*args`, sessions that are passed to other code or have
an adapter or a method of their own, since these may set a timeout, calls whose method is replaced here or in another
file that is not a test, calls with `stream=`, where a pause may be right, and calls inside f-strings.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from functools import lru_cache

from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Edit, Finding
from capa_codemods.project import Project
from capa_codemods.read.calls import calls_in_strings, is_ignored, with_argument
from capa_codemods.read.files import read_file
from capa_codemods.read.meaning import Meanings
from capa_codemods.read.python_file import PythonFile
from capa_codemods.read.syntax import parse
from capa_codemods.rule import Rule

DEFAULT_S = 60
"""As in capa_requests: docs/differences/requests.md."""

_VERBS = frozenset({"delete", "get", "head", "options", "patch", "post", "put", "request"})
_SESSIONS = frozenset({"requests.Session()", "requests.session()", "requests.sessions.Session()"})
_ENTERED = ".__enter__()"  # `with` gives the session itself
_SESSION_METHOD = "a method of all sessions"
_ADAPTERS = frozenset({"requests.adapters.HTTPAdapter()"})
_SENDERS = _SESSIONS | _ADAPTERS | {"requests.sessions.HTTPAdapter()"}
_SENDING = _VERBS | {"send", "__init__"}
_MAY_REPLACE = re.compile(rb"\.[ \t]*\w+[ \t]*=(?!=)|\bsetattr[ \t]*\(")
_OF_TESTS = re.compile(r"(?:^|/)(?:tests?/|test_|conftest\.py)|_test\.py$")
_NAMES = (ast.Name, ast.Attribute)
_POSITION = 9
"""How many positional arguments `Session.request` takes with its `timeout`."""


class RequestsTimeout(Rule[PythonFile]):
    """Give calls of requests a timeout."""

    id = "requests-timeout"
    summary = "calls of requests without timeout= get the configured one"
    reads = PythonFile
    changes_shape = True
    words = ("requests",)
    settings = {"seconds": float(DEFAULT_S)}

    def check(self, file: PythonFile, project: Project) -> Iterator[Edit | Finding]:
        """Yield an edit for each call that is certain, and a note for each that is not."""
        seconds = self._seconds(project)
        if not seconds or _is_own_module(file, project):
            return
        text = repr(int(seconds) if seconds == int(seconds) else seconds)
        meanings = Meanings(file.tree)
        in_strings = set(calls_in_strings(file.tree))
        doubtful = _doubtful_sessions(file.tree, meanings, project)
        replaced = dict.fromkeys(_replaced(file.tree, meanings, project), "the method is replaced")
        replaced = {**_replaced_elsewhere(project), **replaced}
        for call, dotted in meanings.calls():
            holder, _, verb = project.names.original(dotted).replace(_ENTERED, "").rpartition(".")
            is_open = _is_request(holder, verb) and not _has_timeout(call, holder, verb)
            if not is_open or is_ignored(file, call, self.id):
                continue
            doubt = _doubt(call, doubtful)
            names = (f"{holder}.{verb}", f"{holder}.request", _SESSION_METHOD)
            doubt = next((replaced[name] for name in names if name in replaced), doubt)
            if id(call) in in_strings:
                doubt = "it is in an f-string"
            edit = None if doubt else with_argument(file, call, f"timeout={text}", self.id)
            yield edit or self._note(call, doubt or "its arguments cannot be added to")

    def _note(self, call: ast.Call, doubt: str) -> Finding:
        message = f"`{ast.unparse(call.func)}` may wait without limit: {doubt}"
        return Finding(self.id, call.lineno, "note", message, "give it a timeout= if it has none")

    def _seconds(self, project: Project) -> float:
        own = project.settings.get(self.id, {}).get("seconds")
        adapters = project.capa_toml.get("adapters", {})
        table = adapters.get("requests", {}) if isinstance(adapters, dict) else {}
        theirs = table.get("timeout_s", DEFAULT_S) if isinstance(table, dict) else DEFAULT_S
        seconds = theirs if own is None else own
        if not isinstance(seconds, (int, float)):
            return DEFAULT_S
        return seconds if 0 < seconds < math.inf else 0


def _is_request(holder: str, verb: str) -> bool:
    if holder in _SESSIONS:
        return verb in _VERBS or verb == "send"
    return holder in {"requests", "requests.api"} and verb in _VERBS


def _has_timeout(call: ast.Call, holder: str, verb: str) -> bool:
    by_position = holder in _SESSIONS and verb == "request" and len(call.args) >= _POSITION
    return by_position or any(keyword.arg == "timeout" for keyword in call.keywords)


def _doubt(call: ast.Call, doubtful: dict[str, str]) -> str:
    """Return why it is not certain that *call* has no timeout; nothing if it is."""
    if any(keyword.arg is None for keyword in call.keywords):
        return "the arguments of `**` are not known"
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        return "the arguments of `*` are not known"
    if any(keyword.arg == "stream" and not _is_false(keyword.value) for keyword in call.keywords):
        return "it streams, and may be right to wait long for the next part"
    return doubtful.get(ast.unparse(call.func).rpartition(".")[0], "")


def _replaced(tree: ast.Module, meanings: Meanings, project: Project) -> Iterator[str]:
    """Yield the functions and methods of requests that the file puts others in the place of."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=holder, attr=name, ctx=ast.Store()):
                pass
            case ast.Call(
                func=ast.Name(id="setattr") | ast.Attribute(attr="setattr"),
                args=[holder, ast.Constant(value=str(name)), *_],
            ):
                pass
            case _:
                continue
        owner = project.names.original(meanings.of(holder) or "").replace(_ENTERED, "")
        is_method = f"{owner}()" in _SENDERS and name in _SENDING
        if is_method or f"{owner}.{name}()" in _SENDERS:
            yield _SESSION_METHOD
        yield f"{owner}.{name}"


@lru_cache(maxsize=1)
def _replaced_elsewhere(project: Project) -> dict[str, str]:
    """Return the names that files of the tree replace for all others, each with its message; tests do so locally."""
    found: dict[str, str] = {}
    for path in project.files:
        if path.endswith(".py") and not _OF_TESTS.search(path):
            for name in _replaced_in(path, project):
                found.setdefault(name, f"the method is replaced in {path}")
    return found


def _replaced_in(path: str, project: Project) -> list[str]:
    try:
        data = read_file(f"{project.root}/{path}") or b""
        if b"requests" not in data or not _MAY_REPLACE.search(data):
            return []
        tree = parse(data)
    except (OSError, UnreadableError):
        return []  # it is named where it is to be rewritten
    replaced = _replaced(tree, Meanings(tree), project)
    return [name for name in replaced if "()" not in name and name.startswith(("requests.", _SESSION_METHOD))]


def _is_own_module(file: PythonFile, project: Project) -> bool:
    return "requests" in project.names.roots and project.refusal("requests", file.path) is not None


def _doubtful_sessions(tree: ast.Module, meanings: Meanings, project: Project) -> dict[str, str]:
    """Return the texts of the sessions that other code, or an adapter, may give a timeout, each with the reason."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        for value in (*node.args, *(keyword.value for keyword in node.keywords)):
            if isinstance(value, _NAMES) and _is_session(meanings.of(value), project):
                found[ast.unparse(value)] = f"`{ast.unparse(node.func)}` may have given its session one"
        if isinstance(node.func, ast.Attribute) and node.func.attr == "mount":
            adapter = meanings.of(node.args[1]) if len(node.args) == 2 else None
            if not adapter or project.names.original(adapter) not in _ADAPTERS:
                found[ast.unparse(node.func.value)] = "an adapter of its session may set one"
    # Two such objects may be one session.
    aliases = set(_aliases(tree, meanings, project))
    reason = next((found[name] for name in sorted(aliases) if name in found), "")
    return {**dict.fromkeys(aliases if reason else (), reason), **found}


def _aliases(tree: ast.Module, meanings: Meanings, project: Project) -> Iterator[str]:
    """Yield the texts of the sessions that have more than one name."""
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        named = [*targets, node.value] if isinstance(node.value, _NAMES) else targets
        if len(named) > 1 and _is_session(meanings.of(node.value), project):
            yield from map(ast.unparse, named)


def _is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and not value.value


def _is_session(dotted: str | None, project: Project) -> bool:
    return dotted is not None and project.names.original(dotted).replace(_ENTERED, "") in _SESSIONS
