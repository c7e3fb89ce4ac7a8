"""The report of components: the driver that serves each name, and the setting that chose it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from capa_core.block import blocks, declaration
from capa_core.errors import CapaError
from capa_core.runtime._fallback import no_fallback
from capa_core.runtime._registry import reach_of
from capa_core.secret import without_credentials

if TYPE_CHECKING:
    from capa_core.block import Block
    from capa_core.engine import Reach
    from capa_core.runtime._runtime import Runtime


@dataclass(frozen=True, slots=True)
class ComponentReport:
    """One row of `capa doctor`.

    Attributes:
        driver: The driver's name in capa.toml.
        origin: The place of the setting that chose it; `embedded default` if there is none.
        legacy: The legacy addresses that mean this name, without credentials.
    """

    block: str
    name: str
    driver: str
    origin: str
    legacy: tuple[str, ...] = ()

    @property
    def reach(self) -> Reach:
        """The reach of its data: the process, the machine, or all machines of its network."""
        return reach_of(declaration(self.block), self.driver)

    def component(self, runtime: Runtime) -> Any:
        """Return the component, built if necessary; `None` for a table that serves names known only at a call.

        Raises:
            SettingsError: Its settings are wrong.
        """
        if self.name == "default" and declaration(self.block).one_per:
            return None
        return runtime.component(self.block, self.name)

    def answer(self, runtime: Runtime) -> tuple[bool, str]:
        """Build the component, ping it, and return whether it answers, with one line about it or the error."""
        if self.name == "default" and declaration(self.block).one_per:
            kind = declaration(self.block).one_per
            return True, f"each {kind} is looked up by its own name when it is called"
        try:
            return True, runtime.component(self.block, self.name).ping()
        except CapaError as error:
            return False, str(error)
        except Exception as error:  # noqa: BLE001 - one driver's fault must not hide the other components
            return False, f"its driver failed: {type(error).__name__}: {error}"


def report(runtime: Runtime) -> list[ComponentReport]:
    """Return a row for each configured name, and one for each block that its embedded default serves."""
    if not runtime.configured:  # no setting, no need to load them
        return [_embedded(block) for block in blocks().values()]
    rows: list[ComponentReport] = []
    for block in blocks().values():
        tables = runtime.loaded.tables(block.name)
        rows += [
            ComponentReport(
                block=block.name,
                name=name,
                driver=table.driver or block.embedded,
                origin=runtime.loaded.origin(block.name, name, "driver"),
                legacy=tuple(map(without_credentials, table.legacy)),
            )
            for name, table in tables.items()
        ]
        if not tables and no_fallback(runtime.loaded) is None:
            rows.append(_embedded(block))
    return rows


def _embedded(block: Block) -> ComponentReport:
    return ComponentReport(block.name, "default", block.embedded, "embedded default")
