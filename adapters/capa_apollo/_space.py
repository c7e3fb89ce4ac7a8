"""Apollo's names in the configuration block: appId is the application, a namespace a group, a cluster a label."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from capa_apollo._sdk import SDK
from capa_apollo._unread import found, is_apollos_own, missing, report
from capa_core import default_runtime
from capa_core.shims import logical_name
from capa_core.shims.elsewhere import tell_if_elsewhere

if TYPE_CHECKING:
    from capa_apollo.settings import ApolloSettings
    from capa_core.blocks.configuration import Configuration, ConfigurationView
    from capa_core.runtime import Runtime

DEFAULT_CLUSTER = "default"


class IfMissing(Enum):
    """The answer to a namespace that does not exist: as a rule, what the original does without a server."""

    REPORT = "one line in the log, and it is empty"
    RAISE = "an error"
    RAISE_ELSEWHERE = "an error, but on an Apollo server a line in the log"


class Space(NamedTuple):
    """One appId and cluster in one configuration component.

    Attributes:
        server: The address of the Apollo server that the program named, `""` if it named none.
    """

    configuration: Configuration
    app_id: str
    cluster: str
    server: str = ""

    def view(self, namespace: str, if_missing: IfMissing = IfMissing.REPORT) -> ConfigurationView:
        """Return the live view of a namespace; one that does not exist is reported once, and empty.

        Raises:
            NotFoundError: It does not exist, and *if_missing* says so.
            UnavailableError: The engine does not answer, and nothing was read from it before.
        """
        view = self.configuration.view(**self.scope(namespace))
        if view.version:
            found(self, namespace)
            return view
        error = missing(self, namespace)
        if if_missing is IfMissing.RAISE:
            raise error
        if if_missing is IfMissing.RAISE_ELSEWHERE and not is_apollos_own(self):
            raise error
        report(self, namespace, error)
        return view

    def scope(self, namespace: str) -> dict[str, str]:
        """Return the keyword arguments of the configuration block for *namespace*."""
        label = "" if self.cluster == DEFAULT_CLUSTER else self.cluster
        return {"application": self.app_id, "group": namespace_of(namespace), "label": label}


class Namespace(NamedTuple):
    """One namespace of a space, as a source of live values."""

    space: Space
    name: str

    def view(self) -> ConfigurationView:
        """Return its live view, as `Space.view` does."""
        return self.space.view(self.name)

    def follow(self, follower: Callable[[ConfigurationView], object]) -> Callable[[], None]:
        """See `Configuration.follow`."""
        return self.space.configuration.follow(follower, **self.space.scope(self.name))


def namespace_of(name: str) -> str:
    """Return a namespace as Apollo's server does: without the suffix `.properties`, which all others imply."""
    return name.removesuffix(".properties") or name


def own_space(runtime: Runtime, app_id: str = "", cluster: str = "") -> Space:
    """Return the space of this application, as `[adapters.apollo]` names it; *app_id* and *cluster* win.

    Raises:
        SettingsError: `[adapters.apollo]`, or the component's own table, is wrong.
        UnsupportedError: `side` is not `capa`.
    """
    settings = settings_of(runtime)
    configuration = runtime.configuration(settings.component)
    return Space(configuration, app_id or settings.app_id, cluster or settings.cluster)


def settings_of(runtime: Runtime) -> ApolloSettings:
    """Return the `[adapters.apollo]` table of *runtime*.

    Raises:
        SettingsError: The table is wrong.
        UnsupportedError: `side` is not `capa`: there is no original to go back to.
    """
    from capa_apollo.settings import ApolloSettings
    from capa_core.shims.settings import adapter_settings

    return adapter_settings(runtime, SDK, ApolloSettings)


def space_at(url: str, app_id: str, cluster: str) -> Space:
    """Return the space that a client meant by the address of an Apollo server, which is never connected to.

    The component is the one that lists the address under `legacy`, else the one of `[adapters.apollo]`.
    """
    runtime = default_runtime()
    settings_of(runtime)  # raises for a side that cannot serve, also where an address names the component
    name = logical_name("configuration", url)
    if name is None:
        space = own_space(runtime, app_id, cluster)._replace(server=url)
    else:
        space = Space(runtime.configuration(name), app_id, cluster or DEFAULT_CLUSTER, url)
    tell_if_elsewhere("configuration", space.configuration, url, go="reads of configuration go")
    return space


def texts(view: ConfigurationView) -> dict[str, str]:
    """Return a namespace as Apollo's HTTP API does: the keys, or the whole text of a document under `content`."""
    return dict(view) if view.content is None else {"content": view.content}
