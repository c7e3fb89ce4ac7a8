"""Addresses of engines in the code move into capa.toml, under a logical name.

    Celery("shop", broker="redis://cache.internal/0")   →   Celery("shop", broker="capa://cache-internal")

                                                            [pubsub.cache-internal]
                                                            driver = "redis"
                                                            url = "redis://cache.internal/0"
                                                            legacy = ["redis://cache.internal/0"]
    redis.Redis(host="cache.internal", db=1)            →   [state.cache-internal-1]
                                                            …

The call reaches the same server: the adapter resolves `capa://NAME` as the logical name, and an address that stays in
other code as the name whose `legacy` holds it. Where Celery is still the original, only the
table is made; with `keep = true` that is so everywhere, and the code continues to work on the original. redis-py has no
adapter: its calls go on as before, and the name is there for new code. Where a block had no table, `[<block>.default]`
keeps the embedded default for its other names.

Data of Celery that no address in the code names, and that all machines must share, gets a table on the same server,
unless capa.toml names an engine for it already: the lock of beat (`[lock.celery]`), and
results, chords and revocations in a file that says nothing of a result backend (`[state.celery]`). Without one, worker
or beat does not start. Where the server cannot keep it, a warning says so.

The rule reads `Celery(broker=…, backend=…)`, `app.conf.broker_url = …`, `app.conf.update(result_backend=…)`,
`redis.Redis(…)`, its pools and `from_url(…)`. A password is not copied: the URL refers to a secret, and a warning says
which. Left alone: addresses that are not written out, and engines for which no component is installed, which a note
names. An address that holds more than one place (several addresses, a query) gets a table and stays in the code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from capa_codemods.discovery import drivers
from capa_codemods.engines import scheme
from capa_codemods.findings import Edit, Finding, Setting
from capa_codemods.project import Project, legacy_of
from capa_codemods.read.meaning import Meanings
from capa_codemods.read.python_file import PythonFile
from capa_codemods.rule import Rule
from capa_codemods.sdks.import_map import BlockLine

_CELERY = frozenset({"celery.Celery", "celery.app.Celery", "celery.app.base.Celery"})
_CONFIGURED = frozenset(f"{name}().conf" for name in _CELERY)
_SETTINGS = {"broker": "pubsub", "broker_url": "pubsub", "backend": "state", "result_backend": "state"}
_BACKEND = re.compile(rb"backend|config_from_object|config_from_envvar")
_MODULES = ("redis.", "redis.client.", "redis.connection.", "redis.asyncio.", "redis.asyncio.connection.")
_POOLS = frozenset(f"{module}{kind}ConnectionPool" for module in _MODULES for kind in ("", "Blocking"))
_CLIENTS = frozenset(f"{module}{name}" for module in _MODULES for name in ("Redis", "StrictRedis"))
_FROM_URL = frozenset(
    {"redis.from_url", "redis.asyncio.from_url", *(f"{name}.from_url" for name in _CLIENTS | _POOLS)}
)
_POSITIONS = ("host", "port", "db", "password")


class _Address(NamedTuple):
    """An address as the code has it; *password* is whether there is one, and nothing of it is kept.

    *literal* is the string that is the address and nothing else, if there is one.
    """

    block: str
    scheme: str
    host: str
    port: int
    path: str
    user: str = ""
    password: bool = False
    literal: ast.Constant | None = None

    @property
    def plain(self) -> str:
        """The URL without credentials and without defaults."""
        port = "" if self.port == scheme(self.scheme).port else f":{self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{port}/{self.path}".rstrip("/")

    @property
    def name(self) -> str:
        """The logical name: the host, and the part that distinguishes this address from others there."""
        port = "" if self.port == scheme(self.scheme).port else f"-{self.port}"
        path = f"-{self.path}" if self.path else ""
        tls = "-tls" if scheme(self.scheme).tls else ""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.host}{port}{path}{tls}".lower()).strip("-")

    @property
    def secret(self) -> str:
        """The name of the secret that is the password."""
        return f"{self.name}-password"

    @property
    def url(self) -> str:
        """The URL for the component, with a reference in place of the password."""
        if not self.password:
            return self.plain if not self.user else self.plain.replace("://", f"://{self.user}@", 1)
        return self.plain.replace("://", f"://{self.user}:${{secret:{self.secret}}}@", 1)


class Addresses(Rule[PythonFile]):
    """Move the addresses in the code into capa.toml."""

    id = "addresses"
    summary = "addresses of Celery's brokers and of Redis in the code move into capa.toml, under a name"
    reads = PythonFile
    changes_shape = True
    words = ("redis", "Celery")
    settings: ClassVar = {"keep": False}

    def check(self, file: PythonFile, project: Project) -> Iterator[Edit | Finding | Setting]:
        """Yield for each address that is written out its settings, an edit to its name, and findings."""
        placed: list[tuple[int, str, _Address]] = []
        for node, meant, address in _addresses(file.tree, project):
            called = project.names.original(meant)
            root = called.partition(".")[0]
            if root in project.names.roots and project.refusal(root, file.path):
                continue
            items = list(self._named(address, node.lineno, project))
            yield from items
            is_new = any(isinstance(item, Setting) for item in items)
            if is_new:
                placed.append((node.lineno, root, address))
            if root == "redis" and is_new:
                message = (
                    f"redis-py serves this call as before; for new code it is the state `{address.name}`"
                )
                yield Finding(
                    self.id, node.lineno, "note", message, "`capa explain addresses` has the details"
                )
            name = address.name if is_new else _claimant(project.components(address.block), address)
            if name and called != meant and not self.setting("keep", project):
                yield from self._in_place(file, address, name)
        yield from self._beside(placed, file, project)

    def _in_place(self, file: PythonFile, address: _Address, name: str) -> Iterator[Edit]:
        place = file.text_of(address.literal) if address.literal else None
        if place is not None:
            yield Edit(*place, f"capa://{name}".encode(), self.id)

    def _named(self, address: _Address, line: int, project: Project) -> Iterator[Finding | Setting]:
        driver = scheme(address.scheme).driver
        if driver not in drivers(address.block):
            message = f"no component of {address.block} for {address.scheme} is installed: {address.plain} gets no name"
            yield Finding(self.id, line, "note", message, "install a component for it, or keep the address")
            return
        tables = project.components(address.block)
        if _claimant(tables, address):
            return
        if address.name in {"", "default"}:
            message = f"no logical name can be made of {address.plain}"
            yield Finding(self.id, line, "warning", message, "give the address a table of its own by hand")
            return
        if address.name in tables:
            message = f"[{address.block}.{address.name}] in capa.toml is another engine than {address.plain}"
            yield Finding(self.id, line, "warning", message, "give the address a table of its own by hand")
            return
        if not tables:
            yield Setting(self.id, line, (address.block, "default"))
        values = (("driver", driver), ("url", address.url), ("legacy", (address.plain,)))
        yield Setting(self.id, line, (address.block, address.name), values)
        if address.password:
            message = f"the password of {address.plain} is not copied into capa.toml"
            step = f"keep it as the secret `{address.secret}`, and out of the code"
            yield Finding(self.id, line, "warning", message, step, blocks=True)

    def _beside(
        self, placed: Sequence[tuple[int, str, _Address]], file: PythonFile, project: Project
    ) -> Iterator[Finding | Setting]:
        """Yield the tables for the data of an SDK that no address in the code names, on the server of one it does."""
        for root in dict.fromkeys(root for _, root, _ in placed if root in project.names.roots):
            own = [(line, address) for line, found, address in placed if found == root]
            for kept in project.names.roots[root].blocks:
                if kept.shared and not _is_addressed(kept.block, file) and not _has_engine(kept, project):
                    yield from self._table_for(kept, own, project)

    def _table_for(
        self, kept: BlockLine, own: Sequence[tuple[int, _Address]], project: Project
    ) -> Iterator[Finding | Setting]:
        serving = (one for one in own if scheme(one[1].scheme).driver in drivers(kept.block))
        line, address = next(serving, (0, None))
        if address is None:
            names = sorted({scheme(one.scheme).driver for _, one in own})
            message = (
                f"{' and '.join(names)} cannot keep the {kept.keeps}, and capa.toml names no engine for it"
            )
            step = f"name one under [{kept.block}.{kept.name}]; `capa doctor` checks the choice"
            yield Finding(self.id, own[0][0], "warning", message, step)
            return
        if not project.components(kept.block):
            yield Setting(self.id, line, (kept.block, "default"))
        values = (("driver", scheme(address.scheme).driver), ("url", address.url))
        yield Setting(self.id, line, (kept.block, kept.name), values, unless_present=True)


def _is_addressed(block: str, file: PythonFile) -> bool:
    """Return whether an address may lead to *block*: tasks always have one, by default that of RabbitMQ."""
    return block in _SETTINGS.values() and (block != "state" or _BACKEND.search(file.data) is not None)


def _has_engine(kept: BlockLine, project: Project) -> bool:
    """Return whether capa.toml has a table for *kept*, for every profile or in one: then its owner has chosen."""
    profiles = project.components("profiles").values()
    trees = (project.capa_toml, *(profile for profile in profiles if isinstance(profile, dict)))
    return any({kept.name, "default"} & set(tree.get(kept.block, ())) for tree in trees)


def _addresses(tree: ast.Module, project: Project) -> Iterator[tuple[ast.expr, str, _Address]]:
    """Yield the addresses that are written out, each with its place and the call that uses it."""
    meanings = Meanings(tree)
    for call, meant in meanings.calls():
        yield from ((call, meant, address) for address in _of_call(call, project.names.original(meant)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            target = node.targets[0]
            holder = meanings.of(target.value) or ""
            if project.names.original(holder) in _CONFIGURED and target.attr in _SETTINGS:
                found = _of_url(_SETTINGS[target.attr], node.value)
                yield from ((target, holder, address) for address in found)


def _of_call(call: ast.Call, called: str) -> Iterator[_Address]:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if called in _CELERY or called.removesuffix(".update") in _CONFIGURED:
        for key in sorted(_SETTINGS.keys() & given.keys(), reverse=True):
            yield from _of_url(_SETTINGS[key], given[key])
    elif called in _FROM_URL:
        yield from _of_url("state", call.args[0] if call.args else given.get("url"))
    elif called in _CLIENTS | _POOLS and not given.keys() & {None, "unix_socket_path"}:
        positions = _POSITIONS if called in _CLIENTS else ()
        if len(call.args) <= len(positions):
            yield from _of_parts({**dict(zip(positions, call.args, strict=False)), **given})


def _of_url(block: str, node: ast.expr | None) -> Iterator[_Address]:
    text = _literal(node)
    if not isinstance(text, str) or "://" not in text or text.startswith("capa://"):
        return
    first = text.split(";")[0]
    try:
        parts = urlsplit(first.strip())
        found = _address(block, parts)
    except ValueError:
        return
    if found.host:
        says_more = first != text or parts.query or parts.fragment
        yield found._replace(literal=node if isinstance(node, ast.Constant) and not says_more else None)


def _address(block: str, parts: SplitResult) -> _Address:
    known = scheme(parts.scheme)
    path = parts.path.strip("/")
    return _Address(
        block,
        parts.scheme,
        (parts.hostname or "").lower(),
        parts.port or known.port,
        "" if path == known.path else path,
        parts.username or "",
        parts.password is not None,
    )


def _of_parts(given: dict[str | None, ast.expr]) -> Iterator[_Address]:
    host = _literal(given.get("host"))
    tls, user = _literal(given.get("ssl"), False), _literal(given.get("username"), "")
    name = "rediss" if tls else "redis"
    port, db = _literal(given.get("port"), scheme(name).port), _literal(given.get("db"), 0)
    is_plain = (
        isinstance(port, int) and isinstance(db, int) and isinstance(tls, bool) and isinstance(user, str)
    )
    if isinstance(host, str) and host and is_plain:
        path = str(db) if db else ""
        yield _Address("state", name, host.lower(), port, path, quote(user), "password" in given)


def _literal(node: ast.expr | None, default: object = None) -> Any:
    """Return the value of a constant, *default* where nothing is written, and None for anything else."""
    if node is None:
        return default
    return node.value if isinstance(node, ast.Constant) else None


def _claimant(tables: Mapping[str, Any], address: _Address) -> str | None:
    """Return the name of the one of *tables* that has *address* among its legacy addresses, in any spelling."""
    for name, table in tables.items():
        for text in legacy_of(table):
            if any(address.plain == found.plain for found in _of_url(address.block, ast.Constant(text))):
                return name
    return None
