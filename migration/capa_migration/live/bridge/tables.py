"""The `[bridges.<name>]` tables of capa.toml: which topics are bridged, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field

from capa_core.blocks.pubsub.driver import LONGEST_NAME
from capa_core.call.checks import check_printable
from capa_migration.errors import OptionsError
from capa_migration.live.bridge.ends import End, Name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from capa_core import Runtime

WINDOW_S = 600.0
LEASE_S = 30.0


class BridgeTable(BaseModel):
    """One `[bridges.<name>]` table.

    Attributes:
        source: `from`: the topic that messages are taken from, as `[PROFILE/]COMPONENT:TOPIC`.
        target: `to`: the topic that they are published to.
        group: Take messages from this group, in competition with its consumers; without it, a group of the bridge's own
            gets a copy of each.
        on: Whether `capa bridge --all` runs it; read again while it runs.
        window_s: For how long ids are known, so that a message is not published twice; 0 for never.
        state: A state component, as `[PROFILE/]COMPONENT`, that keeps the ids where the target cannot.
        take_back: Move messages too that came from the target over a bridge, as when a migration is rolled back. Not
            while a bridge runs in the other direction.
        lease_s: Time after which the messages of a killed bridge are moved by the next one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(alias="from")
    target: str = Field(alias="to")
    group: str | None = Field(default=None, min_length=1)
    on: bool = True
    window_s: float = Field(default=WINDOW_S, ge=0, le=604_800)
    state: str | None = None
    take_back: bool = False
    lease_s: float = Field(default=LEASE_S, ge=1, le=43_200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One bridge: its name, its ends and its settings.

    Raises:
        InvalidArgumentError: No engine can have a group of that name.
    """

    name: str
    source: End
    target: End
    group: str | None = None
    on: bool = True
    window_s: float = WINDOW_S
    state: Name | None = None
    take_back: bool = False
    lease_s: float = LEASE_S

    def __post_init__(self) -> None:
        check_printable("the group", self.taken_from, LONGEST_NAME)

    @classmethod
    def of(cls, name: str, table: BridgeTable) -> Self:
        """Return the bridge that *table* describes.

        Raises:
            OptionsError: An end has another form than it should.
        """
        return cls(
            name=name,
            source=End.parse(table.source),
            target=End.parse(table.target),
            group=table.group,
            on=table.on,
            window_s=table.window_s,
            state=None if table.state is None else Name.parse(table.state),
            take_back=table.take_back,
            lease_s=table.lease_s,
        )

    @property
    def taken_from(self) -> str:
        """The group that messages are taken from."""
        return f"bridge to {self.target}"[:LONGEST_NAME] if self.group is None else self.group

    def __str__(self) -> str:
        return f"{self.source} → {self.target}"


def plans(runtime: Runtime) -> dict[str, Plan]:
    """Return the bridges of capa.toml by name.

    Raises:
        SettingsError: A table is wrong; the message names its place.
        OptionsError: There is none, or an end has another form than it should.
    """
    tables: Mapping[str, BridgeTable] = runtime.bridge_settings(BridgeTable)
    if not tables:
        raise OptionsError(
            f"{runtime.loaded.where()} has no [bridges.NAME]: add a table with from and to, or give both ends"
        )
    return {name: _placed(runtime, name, table) for name, table in tables.items()}


def _placed(runtime: Runtime, name: str, table: BridgeTable) -> Plan:
    try:
        return Plan.of(name, table)
    except OptionsError as error:
        raise OptionsError(f"{runtime.loaded.origin('bridges', name)}: {error}") from error
