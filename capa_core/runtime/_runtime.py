"""The runtime: from a logical name to an open portable object."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from capa_core.block import block_names, declaration
from capa_core.call import telemetry
from capa_core.call.traits import blocking, call_traits
from capa_core.errors import ClosedError, InvalidArgumentError
from capa_core.folders import own
from capa_core.forks import computed_once, first_use
from capa_core.runtime._layers import PREFIX, find_file

if TYPE_CHECKING:
    from pydantic import BaseModel

    from capa_core.blocks.invocation import Application
    from capa_core.runtime._addresses_index import AddressIndex
    from capa_core.runtime._report import ComponentReport
    from capa_core.runtime._settings import Loaded
    from capa_core.runtime._spread import Need, Scattered

    ModelT = TypeVar("ModelT", bound=BaseModel)

# Written by `make docs` from the blocks: imports
if TYPE_CHECKING:
    from capa_core.blocks.configuration import Configuration
    from capa_core.blocks.database import Database
    from capa_core.blocks.files import Files
    from capa_core.blocks.invocation import Invocation
    from capa_core.blocks.lock import Locks
    from capa_core.blocks.log import Log
    from capa_core.blocks.pubsub import PubSub
    from capa_core.blocks.schedule import Schedule
    from capa_core.blocks.secrets import Secrets
    from capa_core.blocks.sequencer import Sequencer
    from capa_core.blocks.state import State
    from capa_core.blocks.telemetry import Telemetry
# End of the written part

_alive: weakref.WeakSet[Runtime] = weakref.WeakSet()


@blocking()
class Runtime:
    """Loads components by profile, on first use, and closes them in order. Safe for many threads and across fork.

    Args:
        settings: A tree of the shape of capa.toml; wins over file and environment.
        file: The capa.toml to read; `None` looks for `CAPA_CONFIG`, then in *start* and the folders above.
        profile: Wins over `CAPA_PROFILE` and the file's own `profile`.
        start: The folder in which the search for capa.toml starts; the working directory by default.
        environ: The environment; `os.environ` by default.
        reports: Whether its components of telemetry report the calls of this process; false for a tool that looks at
            the components of a program.
    """

    def __init__(
        self,
        settings: Mapping[str, Any] | None = None,
        *,
        file: Path | str | None = None,
        profile: str | None = None,
        start: Path | str | None = None,
        environ: Mapping[str, str] | None = None,
        reports: bool = True,
    ) -> None:
        self._code = settings
        self._file = Path(file) if file is not None else None
        self._profile = profile
        self._start = Path(start) if start is not None else Path.cwd()
        self._environ = os.environ if environ is None else environ
        self._built: dict[tuple[str, str], Any] = {}
        self._hosted: dict[str, Application] = {}
        self._hosts: dict[tuple[str, int], str] = {}
        self._lock = threading.RLock()
        self._closed = False
        self._reports_started = not reports
        _alive.add(self)

    @classmethod
    def in_memory(cls, settings: Mapping[str, Any] | None = None) -> Self:
        """Return a runtime on memory drivers that reads neither files nor the environment, for tests."""
        from capa_core.runtime._settings import load

        blocks = block_names() - {"telemetry"}  # else each call would be recorded
        tree: dict[str, Any] = {block: {"default": {"driver": "memory"}} for block in blocks}
        tree.update(settings or {})
        runtime = cls(tree, environ={})
        runtime.loaded = load(tree, file=None, start=None, profile=None, environ={})
        return runtime

    # Blocks

    # Written by `make docs` from the blocks: accessors
    @call_traits(immediate=True)
    def configuration(self, name: str = "default") -> Configuration:
        """Return the configuration component that serves *name*."""
        return cast("Configuration", self.component("configuration", name))

    @call_traits(immediate=True)
    def database(self, name: str = "default") -> Database:
        """Return the database component that serves *name*."""
        return cast("Database", self.component("database", name))

    @call_traits(immediate=True)
    def files(self, name: str = "default") -> Files:
        """Return the files component that serves *name*."""
        return cast("Files", self.component("files", name))

    @call_traits(immediate=True)
    def invocation(self, service: str) -> Invocation:
        """Return the invocation component that serves *service*."""
        return cast("Invocation", self.component("invocation", service))

    @call_traits(immediate=True)
    def lock(self, name: str = "default") -> Locks:
        """Return the lock component that serves *name*."""
        return cast("Locks", self.component("lock", name))

    @call_traits(immediate=True)
    def log(self, name: str = "default") -> Log:
        """Return the log component that serves *name*."""
        return cast("Log", self.component("log", name))

    @call_traits(immediate=True)
    def pubsub(self, name: str = "default") -> PubSub:
        """Return the pubsub component that serves *name*."""
        return cast("PubSub", self.component("pubsub", name))

    @call_traits(immediate=True)
    def schedule(self, name: str = "default") -> Schedule:
        """Return the schedule component that serves *name*."""
        return cast("Schedule", self.component("schedule", name))

    @call_traits(immediate=True)
    def secrets(self, name: str = "default") -> Secrets:
        """Return the secrets component that serves *name*."""
        return cast("Secrets", self.component("secrets", name))

    @call_traits(immediate=True)
    def sequencer(self, name: str = "default") -> Sequencer:
        """Return the sequencer component that serves *name*."""
        return cast("Sequencer", self.component("sequencer", name))

    @call_traits(immediate=True)
    def state(self, name: str = "default") -> State:
        """Return the state component that serves *name*."""
        return cast("State", self.component("state", name))

    @call_traits(immediate=True)
    def telemetry(self, name: str = "default") -> Telemetry:
        """Return the telemetry component that serves *name*."""
        return cast("Telemetry", self.component("telemetry", name))

    # End of the written part

    @call_traits(immediate=True)
    def component(self, block: str, name: str) -> Any:
        """Return the portable object of *block* that serves *name*, building it on the first call.

        A name without a table of its own is served by the `default` component, which it shares with all such names.

        Raises:
            InvalidArgumentError: The block does not exist.
            UnknownNameError: Nothing serves *name*, or the driver or a key is not known.
            SettingsError: A setting is invalid for its driver.
            MissingExtraError: The driver's library is not installed.
            ClosedError: The runtime was closed.
        """
        built = self._built.get((block, name))
        return built if built is not None else self._build(block, name)

    def _build(self, block: str, name: str) -> Any:
        if block not in block_names():
            raise InvalidArgumentError(
                f"no block {block!r}; the blocks are {', '.join(sorted(block_names()))}"
            )
        with first_use, self._lock:
            from capa_core.runtime._build import build

            if self._closed:
                raise ClosedError(f"this runtime is closed; {block} {name!r} cannot be opened")
            self._start_reports()
            if (block, name) not in self._built:
                owner = self._owner(block, name)
                if (block, owner) not in self._built:
                    self._built[block, owner] = build(
                        self, declaration(block), owner, self._hosted.get(owner)
                    )
                self._built[block, name] = self._built[block, owner]
            return self._built[block, name]

    def _start_reports(self) -> None:
        """Start the components of telemetry, before the first component is built; the lock is held."""
        if self._reports_started or not self.configured:
            return
        self._reports_started = True  # first: their settings may need secrets, and so other components
        try:
            if tables := self.loaded.tables("telemetry"):
                from capa_core.blocks.telemetry import start

                start([self.telemetry(name) for name in tables])
        except BaseException:
            self._reports_started = False
            raise

    def _owner(self, block: str, name: str) -> str:
        if declaration(block).one_per:
            return name
        found = self.loaded.table(block, name)
        return found[0] if found else "default"

    # Services

    @call_traits(immediate=True)
    def host(self, application: Application, *, name: str) -> None:
        """Host *application* as the service *name* within this process, without a socket.

        Args:
            application: A `capa_core.blocks.invocation.Service`, or any WSGI application.
        """
        from capa_core.runtime._service_addresses import hosts_of

        with self._lock:
            self._hosted[name] = application
            self._hosts |= dict.fromkeys(hosts_of(name), name)
            if built := self._built.pop(("invocation", name), None):
                built.close()
            self._has_services = True

    @call_traits(immediate=True)
    def service_for(self, host: str, port: int, target: str) -> tuple[str, str] | None:
        """Return the service at an HTTP address, and the target there; `None` for an outside address.

        The addresses of a service are `http://<its name>`, and its `legacy` addresses. Of those on one host and port,
        the one with the longest path counts; the target of the service is what follows that path. It is cheap enough
        for each request.

        Args:
            host: In lower case.
            port: The scheme's own if the address has none.
            target: Path and query; begins with `/`.

        Raises:
            SettingsError: A legacy address is malformed, or two services claim it.
        """
        if not self._has_services:
            return None
        place = (host, port)
        hosted = self._hosts.get(place)
        return (hosted, target) if hosted is not None else self._addresses.services.find(place, target)

    @call_traits(immediate=True)
    def logical_name(self, block: str, address: str) -> str | None:
        """Return the logical name that *address* stands for, or `None`.

        That is the name with this `legacy` address, regardless of spelling and credentials; `capa://orders` is the
        name `orders`, also without a table.
        """
        return self._addresses.logical_name(block, address)

    @call_traits(immediate=True)
    def legacy_addresses(self, block: str, name: str) -> tuple[str, ...]:
        """Return the legacy addresses that stand for *name* of *block*; none if capa.toml lists none.

        Raises:
            UnknownNameError: The block is configured, but neither for *name* nor for `default`.
        """
        found = self.loaded.table(block, name)
        return found[1].legacy if found and found[0] == name else ()

    @computed_once
    def _has_services(self) -> bool:
        return self.configured and bool(self.loaded.tables("invocation"))

    @computed_once
    def _addresses(self) -> AddressIndex:
        from capa_core.runtime._addresses_index import AddressIndex

        return AddressIndex(self.loaded)

    # Settings

    @computed_once
    def loaded(self) -> Loaded:
        """The settings, read once, with the origin of each."""
        from capa_core.runtime._settings import load

        return load(
            self._code, file=self._file, start=self._start, profile=self._profile, environ=self._environ
        )

    @computed_once
    def configured(self) -> bool:
        """Whether there may be any setting, without loading them, which costs 100 ms (pydantic)."""
        if any(given is not None for given in (self._code, self._file, self._profile)):
            return True
        if "CAPA_CONFIG" in self._environ:
            return True
        return find_file(self._start) is not None or any(key.startswith(PREFIX) for key in self._environ)

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment from which references such as `${env:NAME}` are resolved."""
        return self._environ

    @property
    def root(self) -> Path:
        """The folder of capa.toml, or in which the search for it started: the base of relative paths in settings."""
        return self.loaded.file.parent if self.loaded.file else self._start

    @property
    def folder(self) -> Path:
        """The folder for Capa's own files, `.capa` beside capa.toml; it may not exist yet."""
        return self.root / ".capa"

    @call_traits(immediate=True)
    def own_folder(self) -> Path:
        """Make `folder`, for its owner alone and out of the user's version control, and return it."""
        return own(self.folder)

    def adapter_settings(self, adapter: str, model: type[ModelT]) -> ModelT:
        """Return the `[adapters.<adapter>]` table as a *model*; its defaults where there is none.

        Raises:
            UnknownNameError: The table has a key that *model* does not have.
            SettingsError: A value is invalid.
        """
        with first_use:
            from capa_core.runtime._build import validated

            table = self.loaded.settings.adapters.get(adapter, {})
            return cast("ModelT", validated(self, model, table, ("adapters", adapter)))

    def bridge_settings(self, model: type[ModelT]) -> dict[str, ModelT]:
        """Return the `[bridges.<name>]` tables by name, each as a *model*.

        Raises:
            UnknownNameError: A table has a key that *model* does not have.
            SettingsError: A value is invalid.
        """
        with first_use:
            from capa_core.runtime._build import validated

            tables = self.loaded.settings.bridges
            return {name: validated(self, model, table, ("bridges", name)) for name, table in tables.items()}

    def report(self) -> list[ComponentReport]:
        """Return which driver serves each configured name, and from which setting; opens nothing."""
        from capa_core.runtime._report import report

        return report(self)

    def scattered(self, needs: Sequence[Need]) -> list[Scattered]:
        """Return those shared *needs* of an adapter that are on one machine, or nowhere, while another is on a server.

        Each has the lines of capa.toml that put it there as well. Opens nothing.
        """
        from capa_core.runtime._spread import scattered

        return scattered(self, needs)

    def require(self, abilities: Mapping[str, tuple[str, ...] | list[str]] | None = None) -> None:
        """Check that the components have the abilities that the application needs, before any traffic.

        Args:
            abilities: Block, or `block.name`, → labels such as `ttl`; `[requires]` of the settings if `None`.

        Raises:
            UnsupportedError: Abilities are missing; the message lists each with the drivers that have it.
            UnknownNameError: A block or an ability is not known.
        """
        from capa_core.runtime._require import require

        require(self, self.loaded.settings.requires if abilities is None else abilities)

    # Life cycle

    @call_traits(waits=True)
    def close(self, *, drain_s: float | None = None) -> None:
        """Stop all intake, let handlers end, then close the components in order. A second call does nothing.

        Args:
            drain_s: Seconds to wait for handlers; messages of those still running are redelivered. `None`: no limit.

        Raises:
            ExceptionGroup: Components failed to close; all others are closed.
        """
        with self._lock:
            self._closed = True
            built, self._built = self._built, {}
        ordered = sorted(built, key=lambda key: (declaration(key[0]).closing, key))
        portables = {id(built[key]): built[key] for key in ordered}
        for portable in portables.values():
            portable.stop()
        failures: list[Exception] = []
        end = time.monotonic() + (drain_s or 0.0)
        for portable in portables.values():
            try:
                if drain_s is not None:
                    portable.drain(max(0.0, end - time.monotonic()))
                portable.close()
            except Exception as error:  # noqa: BLE001 - a component that fails must not keep the others open
                failures.append(error)
        if failures:
            raise ExceptionGroup("closing the runtime", failures)

    @call_traits(waits=True)
    def end_reports(self) -> None:
        """Send the last reports of telemetry, and record nothing more; the other components stay open.

        For a forked child that ends by `os._exit`, and so without closing its runtime. It waits for the longest
        `flush_s` of the components of telemetry at most.
        """
        reporting = [built for (block, _), built in list(self._built.items()) if block == "telemetry"]
        for portable in reporting:
            portable.stop()
        for portable in reporting:
            portable.close()

    def close_at_exit(self) -> None:
        """Close within the `drain_s` of the settings, or at once after a further interrupt; log failures."""
        if not self._built:
            return
        try:
            self.close(drain_s=self.loaded.settings.drain_s)
        except KeyboardInterrupt:
            return
        except ExceptionGroup as failed:
            for error in failed.exceptions:
                telemetry.logger("runtime", "default").warning("closing at exit failed", error=str(error))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _forget(self) -> None:
        # A lock held by another thread of the parent is never released in the child: use a new one.
        self._lock = threading.RLock()
        for portable in {id(item): item for item in self._built.values()}.values():
            portable.forget()


def _after_fork() -> None:
    for runtime in list(_alive):
        runtime._forget()


os.register_at_fork(after_in_child=_after_fork)
