"""Configuration from AWS AppConfig: a group is a configuration profile, a label is an environment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from capa_core.abilities import BY_CORE, BY_DRIVER, NATIVE, absent
from capa_core.blocks.configuration import edits, formats
from capa_core.blocks.configuration.driver import (
    ConfigurationDriver,
    ConfigurationFeature,
    ConfigurationItem,
    ConfigurationLimits,
    Scope,
    Snapshot,
)
from capa_core.components.aws._driver import AwsDriver
from capa_core.components.aws._errors import AwsError
from capa_core.components.aws._looks import Looks
from capa_core.components.aws._servers import servers
from capa_core.components.aws._sessions import SERVICE, Deployed, Profile, Sessions
from capa_core.components.aws._settings import AwsSettings
from capa_core.errors import SettingsError
from capa_core.reach import Server

_LONGEST_NAME = 128
_LEAST_PAUSE_S = 0.05
_BY_DEPLOYMENT = absent("a change is a deployment with a strategy and alarms: start it in AppConfig")


class AppConfigSettings(AwsSettings):
    """The account and region, and the application and environment of groups that name none.

    Attributes:
        application: The name or id of the AppConfig application of groups that belong to none.
        environment: The name or id of the environment of groups without a label.
        interval_s: Seconds between two looks for a deployment, 15 at least on AWS; the service may ask for more.
            Each look at a group is a call that AWS bills.
    """

    application: str = ""
    environment: str = ""
    interval_s: float = Field(default=30.0, gt=0, le=86400)

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if not (self.application and self.environment):
            raise ValueError(
                "application and environment are missing. Give the names or ids that AppConfig has."
            )
        return self


class AppConfigConfiguration(AwsDriver[AppConfigSettings], ConfigurationDriver[AppConfigSettings]):
    """Deployed content, read through AppConfig's data service, which tells nobody of a deployment.

    A group without a suffix has the format that its content type tells: JSON, YAML, else properties. A label that is no
    environment falls back to the environment of the settings; an application does not fall back. A read that comes
    sooner than the service allows returns what the last one did.
    """

    settings_type = AppConfigSettings
    features = {
        ConfigurationFeature.WATCH: BY_DRIVER,
        ConfigurationFeature.LAST_KNOWN_GOOD: BY_CORE,
        ConfigurationFeature.SAVE: _BY_DEPLOYMENT,
        ConfigurationFeature.DELETE: _BY_DEPLOYMENT,
        ConfigurationFeature.LABELS: BY_DRIVER,
        ConfigurationFeature.TAGS: absent("tags of AppConfig belong to profiles, not to keys"),
        ConfigurationFeature.DOCUMENTS: NATIVE,
        ConfigurationFeature.INSPECT: absent("the data service lists nothing; the console does"),
        ConfigurationFeature.CONDITIONAL: _BY_DEPLOYMENT,
        ConfigurationFeature.HISTORY: absent("the data service tells the deployed version only"),
    }

    @property
    def limits(self) -> ConfigurationLimits:
        """See `ConfigurationDriver.limits`."""
        return ConfigurationLimits(max_name_bytes=_LONGEST_NAME)

    def get(self, scope: Scope) -> Snapshot:
        """See `ConfigurationDriver.get`: at most as old as the interval that the service asks for.

        Raises:
            SettingsError: The content is malformed, or no text.
        """
        found = self._serving(scope)
        version = _version(found)
        self._looks.note(scope, version)
        return edits.NOTHING if found is None else _snapshot(scope.group, found, version)

    def version(self, scope: Scope) -> str:
        """See `ConfigurationDriver.version`: a digest of the content, since a session begins with all of it."""
        return _version(self._serving(scope))

    def watch(self, known: Mapping[Scope, str], timeout_s: float) -> Mapping[Scope, str]:
        """See `ConfigurationDriver.watch`."""
        self._watched[:] = [profile for scope in known for profile in self._profiles(scope)]
        return self._looks.wait(known, timeout_s)

    def wake(self) -> None:
        """See `ConfigurationDriver.wake`."""
        self._looks.wake()

    def servers(self) -> list[Server]:
        """See `ConfigurationDriver.servers`."""
        return servers(self.settings, SERVICE)

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Driver.clients`: boto3's client of the service, safe for many threads, and its session, which is not."""
        import boto3
        from botocore.client import BaseClient

        return {
            BaseClient: lambda: self.connections.native(SERVICE),
            boto3.Session: self.connections.session,
        }

    def ping(self) -> str:
        """See `Driver.ping`: it begins a session, which shows the permission for it; a missing profile is an answer."""
        profile = self._profiles(Scope())[-1]
        try:
            self._sessions.start(profile)
            missing = ""
        except AwsError as error:
            if error.code != "ResourceNotFoundException":
                raise
            missing = f", which has no profile {profile.name!r}"
        where = self.connections.place(SERVICE).partition(" in ")[2]
        return f"AWS AppConfig in {where}: {profile.application!r} in {profile.environment!r}{missing}"

    def close(self) -> None:
        """See `Driver.close`. A watch that is under way ends before."""
        self._looks.close()
        super().close()

    def _open(self) -> None:
        super()._open()
        self._sessions = Sessions(self.connections, self.settings.interval_s)
        self._looks = Looks(self.version, self._pause_s)
        self._watched: list[Profile] = []

    def _pause_s(self) -> float:
        return max(_LEAST_PAUSE_S, self._sessions.due_in_s(self._watched))

    def _serving(self, scope: Scope) -> Deployed | None:
        for profile in self._profiles(scope):
            if found := self._sessions.latest(profile):
                return found
        return None

    def _profiles(self, scope: Scope) -> list[Profile]:
        own = self.settings
        environments = [scope.label, own.environment] if scope.label else [own.environment]
        application = scope.application or own.application
        return [Profile(application, one, scope.group) for one in dict.fromkeys(environments)]


def _version(found: Deployed | None) -> str:
    if found is None:
        return ""
    return hashlib.blake2b(found.content, digest_size=8, person=found.media_type.encode()[:16]).hexdigest()


def _snapshot(group: str, found: Deployed, version: str) -> Snapshot:
    place = f"profile {group!r} of AppConfig"
    try:
        text = found.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError(f"{place} is no text in UTF-8: deploy a text.") from None
    suffix = formats.suffix_of(group)
    flat = formats.items(text, suffix or _suffix(found.media_type), place)
    items = {key: ConfigurationItem(key, value, version) for key, value in flat.items()}
    return Snapshot(items, version, text if suffix else None)


def _suffix(media_type: str) -> str:
    """Return the suffix of the format that a content type tells."""
    kind = media_type.partition(";")[0].lower()
    if kind.endswith("json"):
        return ".json"
    return ".yaml" if kind.endswith("yaml") else ".properties"
