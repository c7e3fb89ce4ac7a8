"""Groups of configuration components as sources of live values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from capa_core.blocks.configuration import Configuration, ConfigurationView


class GroupSource(NamedTuple):
    """One group of one component, with the arguments that `Configuration.view` takes."""

    configuration: Configuration
    group: str
    application: str
    label: str

    def view(self) -> ConfigurationView:
        """Return its live view; an empty one if the group does not exist."""
        return self.configuration.view(self.group, application=self.application, label=self.label)

    def follow(self, follower: Callable[[ConfigurationView], object]) -> Callable[[], None]:
        """See `Configuration.follow`."""
        return self.configuration.follow(
            follower, group=self.group, application=self.application, label=self.label
        )
