"""The registry of installed drivers and adapters, by entry point; components are never imported by name."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from capa_core.block import Block
from capa_core.driver import Driver
from capa_core.engine import Reach, engine_of
from capa_core.errors import MissingExtraError, SettingsError, UnknownNameError, nearest
from capa_core.installing import extra_command


@cache
def drivers(block: Block) -> dict[str, EntryPoint]:
    """Return the installed drivers of *block* by their names in capa.toml."""
    return {point.name: point for point in entry_points(group=block.group)}


@cache
def adapters() -> frozenset[str]:
    """Return the installed adapters by the names of their tables in capa.toml."""
    return frozenset(point.name for point in entry_points(group="capa.adapters"))


def driver_type(block: Block, name: str, place: str) -> type[Driver[Any]]:
    """Import and return the class of the driver *name*.

    Raises:
        UnknownNameError: No installed package has such a driver.
        MissingExtraError: Its engine's library is not installed.
        SettingsError: The package of the driver is broken.
    """
    known = drivers(block)
    if name not in known:
        raise UnknownNameError(f"{place}: no driver {name!r} for {block.name}.{nearest(name, known)}")
    try:
        loaded: Any = known[name].load()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("capa_"):
            raise
        command = _command(block, known[name], error.name)
        raise MissingExtraError(
            f"{place}: driver {name!r} needs the library {error.name!r}. Run: {command}"
        ) from error
    except Exception as error:
        raise broken(known[name], place, error) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Driver)):
        failure = TypeError(f"it is no subclass of {Driver.__module__}.{Driver.__name__}")
        raise broken(known[name], place, failure)
    return loaded


def broken(point: EntryPoint, place: str, error: Exception) -> SettingsError:
    """Return the error of a driver whose own code failed with *error* as it was loaded or made."""
    package = f" of {point.dist.name} {point.dist.version}" if point.dist is not None else ""
    return SettingsError(
        f"{place}: driver {point.name!r}{package} ({point.value}) cannot be used: {type(error).__name__}: {error}. "
        "Nothing was started; correct that package, or choose another driver."
    )


def reach_of(block: Block, driver: str) -> Reach:
    """Return what shares the data of *driver*; `network` for one that is unknown or whose engine does not say."""
    point = drivers(block).get(driver)
    engine = engine_of(point.module) if point else None
    return engine.reach if engine else "network"


def _command(block: Block, point: EntryPoint, library: str) -> str:
    """Return the command that installs the *library*: by the extra of *block*, or of the engine of *point*, if any."""
    if library.partition(".")[0] in block.libraries:
        return extra_command(block.extra)
    engine = engine_of(point.module)
    if engine is None or engine.extra is None or point.dist is None:
        return f"pip install {library}"
    if point.module.startswith("capa_core."):
        return extra_command(engine.extra)
    return f"pip install '{point.dist.name}[{engine.extra}]'"
