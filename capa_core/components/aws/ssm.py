"""Configuration in parameters of AWS Systems Manager (SSM): a group is a path, and its keys are the level below."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator

from capa_core.abilities import BY_CORE, BY_DRIVER, NATIVE, absent, approximate
from capa_core.blocks.configuration import edits, formats
from capa_core.blocks.configuration.driver import (
    ConfigurationDriver,
    ConfigurationFeature,
    ConfigurationItem,
    ConfigurationLimits,
    Edit,
    GroupStatus,
    Scope,
    Snapshot,
    check_version,
)
from capa_core.components.aws import _parameter_names as names
from capa_core.components.aws._driver import AwsDriver
from capa_core.components.aws._looks import Looks
from capa_core.components.aws._parameter_names import Place, place_of, scope_of
from capa_core.components.aws._parameters import SERVICE, Parameter, Parameters, version_of
from capa_core.components.aws._servers import servers
from capa_core.components.aws._settings import AwsSettings
from capa_core.errors import CapaError, InvalidArgumentError, UnavailableError
from capa_core.reach import Server

_STANDARD_BYTES = 4096
_ADVANCED_BYTES = 8192
_ABANDONED_S = 30.0
"""Seconds after which a mark is that of a writer that was killed."""
_WRITE_S = 20.0
"""Seconds for which a write of several parameters waits for its turns: SSM takes 3 a second unless more is paid for."""
_AGAIN_S = 0.02
_SECURE = "SecureString"


class SsmConfigurationSettings(AwsSettings):
    """The account and region of the parameters, and how they are written and watched.

    Attributes:
        prefix: The path of all groups, such as `/shop/prod/`; AWS keeps paths that begin with `aws` or `ssm`.
        interval_s: Seconds between two looks for changes. Each look costs one request for ten keys of a group, of the
            40 a second that an account has; they are fewer while SSM says that it is asked too often.
        tier: `Standard` for values up to 4 kB, `Advanced` (which is paid for) or `Intelligent-Tiering` up to 8 kB.
        secure: Patterns of keys, such as `*.password`, that are created as SecureString; others keep the type that
            they have.
        kms_key_id: The key of KMS for them, in place of the account's own.
    """

    prefix: Annotated[str, StringConstraints(pattern=r"^/([A-Za-z0-9_.-]+/){0,8}$", max_length=400)] = (
        "/capa/"
    )
    interval_s: float = Field(default=30.0, gt=0)
    tier: Literal["Standard", "Advanced", "Intelligent-Tiering"] = "Standard"
    secure: tuple[str, ...] = ()
    kms_key_id: str | None = None

    @field_validator("prefix")
    @classmethod
    def _check_prefix(cls, prefix: str) -> str:
        if prefix.lower().startswith(("/aws", "/ssm")):
            raise ValueError(
                f"AWS keeps paths that begin with `aws` or `ssm`. Give another one than {prefix!r}."
            )
        return prefix


class SsmConfiguration(AwsDriver[SsmConfigurationSettings], ConfigurationDriver[SsmConfigurationSettings]):
    """Parameters at `<prefix><group>/<key>`, or `<prefix>applications/<application>/<group>/<label>/<key>`.

    A document is one parameter, `<prefix><group>`. Characters that a name cannot have are `-x` and a number each. A
    scope falls back to the unlabelled one, then to the component's own. SecureStrings are read decrypted.
    """

    settings_type = SsmConfigurationSettings
    features = {
        ConfigurationFeature.WATCH: BY_DRIVER,
        ConfigurationFeature.LAST_KNOWN_GOOD: BY_CORE,
        ConfigurationFeature.SAVE: approximate(
            "several keys are written one by one, which Capa's readers wait for; other programs see half of them, and"
            " so does everybody after a writer was killed"
        ),
        ConfigurationFeature.DELETE: NATIVE,
        ConfigurationFeature.LABELS: BY_DRIVER,
        ConfigurationFeature.TAGS: absent(
            "tags of SSM are for access and bills: reading them is a request a key"
        ),
        ConfigurationFeature.DOCUMENTS: NATIVE,
        ConfigurationFeature.INSPECT: NATIVE,
        ConfigurationFeature.CONDITIONAL: approximate(
            "one such change at a time; a plain write that comes between the comparison and the change is not seen"
        ),
        ConfigurationFeature.HISTORY: absent(
            "SSM keeps versions of each parameter, none of a group, and a deleted one takes its own along"
        ),
    }

    @property
    def limits(self) -> ConfigurationLimits:
        """See `ConfigurationDriver.limits`: those of the tier."""
        most = _STANDARD_BYTES if self.settings.tier == "Standard" else _ADVANCED_BYTES
        return ConfigurationLimits(max_value_bytes=most, max_document_bytes=most)

    def get(self, scope: Scope) -> Snapshot:
        """See `ConfigurationDriver.get`.

        Raises:
            SettingsError: The text of a document is malformed.
            UnavailableError: The group is being written for longer than `timeout_s`.
        """
        place, found = self._serving(scope)
        version = version_of(found)
        self._looks.note(scope, version)
        return _snapshot(place, found, version)

    def version(self, scope: Scope) -> str:
        """See `ConfigurationDriver.version`: a digest of names, versions and times."""
        return version_of(self._serving(scope)[1])

    def watch(self, known: Mapping[Scope, str], timeout_s: float) -> Mapping[Scope, str]:
        """See `ConfigurationDriver.watch`."""
        return self._looks.wait(known, timeout_s)

    def wake(self) -> None:
        """See `ConfigurationDriver.wake`."""
        self._looks.wake()

    def save(self, scope: Scope, items: Sequence[ConfigurationItem]) -> str:
        """See `ConfigurationDriver.save`.

        Raises:
            InvalidArgumentError: A name or a value is too long for SSM. Nothing was written.
        """
        if names.is_document(scope.group) or len(items) > 1:
            return self._change(scope, Edit(items=items))
        self._put_changed(place_of(scope, self.settings.prefix), items)
        return self.version(scope)

    def save_document(self, scope: Scope, content: str) -> str:
        """See `ConfigurationDriver.save_document`; raises as `save` does."""
        place = place_of(scope, self.settings.prefix)
        edits.document(scope, content, "")
        self._put({place.path: content}, place)
        return self.version(scope)

    def delete(self, scope: Scope, keys: Sequence[str]) -> str:
        """See `ConfigurationDriver.delete`."""
        place = place_of(scope, self.settings.prefix)
        if not self._own(place):
            return self.version(scope)
        return self._change(scope, Edit(gone=keys))

    def edit(self, scope: Scope, change: Edit, if_version: str) -> str:
        """See `ConfigurationDriver.edit`; raises as `save` does."""
        return self._change(scope, change, lambda present: check_version(scope, present, if_version))

    def inspect(self) -> Iterator[GroupStatus]:
        """See `ConfigurationDriver.inspect`."""
        groups: dict[Scope, list[Parameter]] = {}
        prefix = self.settings.prefix
        for one in self._parameters.below(prefix, deep=True, decrypt=False):
            levels = one.name.removeprefix(prefix).split("/")
            scope = scope_of(levels)
            if scope is not None and levels[-1] != names.MARK:
                groups.setdefault(scope, []).append(one)
        for scope, found in groups.items():
            place = place_of(scope, prefix)
            yield GroupStatus(
                scope=scope, version=version_of(found), items=_count(place, found), origin=place.path
            )

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
        """See `Driver.ping`."""
        next(self._parameters.below(self.settings.prefix, decrypt=False), None)
        where = self.connections.place(SERVICE).partition(" in ")[2]
        return f"parameters of AWS SSM below {self.settings.prefix} in {where}"

    def close(self) -> None:
        """See `Driver.close`. A watch that is under way ends before."""
        self._looks.close()
        super().close()

    def _open(self) -> None:
        super()._open()
        self._parameters = Parameters(self.connections)
        self._looks = Looks(self.version, lambda: self.settings.interval_s)
        self._writing = threading.Lock()
        self._accepted: dict[str, str] = {}

    # --- reading

    def _serving(self, scope: Scope, mine: str = "") -> tuple[Place, list[Parameter]]:
        """Return the first of the candidates that is there, and its parameters; *mine* is a path written here."""
        places = [place_of(one, self.settings.prefix) for one in scope.candidates()]
        for place in places:
            found = self._own(place) if place.is_document or place.path == mine else self._whole(place)
            if found:
                return place, found
        return places[0], []

    def _own(self, place: Place) -> list[Parameter]:
        """Return the parameters of exactly this place, as they are at the moment."""
        if place.is_document:
            return list(self._parameters.get([place.path]).values())
        return [one for one in self._parameters.below(place.path) if one.name != place.mark]

    def _whole(self, place: Place) -> list[Parameter]:
        """Return parameters that belong together: without a mark, and the same twice, or as before.

        Pages of a list are read one after the other. A change of several that is made meanwhile has its mark, or
        differs in a version when the list is read again.
        """
        end = time.monotonic() + self.settings.timeout_s
        before = self._accepted.get(place.path)
        while True:
            found = list(self._parameters.below(place.path))
            mark = next((one for one in found if one.name == place.mark), None)
            if mark is None or self._is_abandoned(mark):
                found = [one for one in found if one.name != place.mark]
                version = version_of(found)
                if version in ("", before):
                    self._accepted[place.path] = version
                    return found
                before = version
            elif time.monotonic() > end:
                raise UnavailableError(
                    f"{place.path} in SSM is being written since {self.settings.timeout_s} s: {place.mark} is there."
                    f" Capa takes it for that of a killed writer {_ABANDONED_S:.0f} s after it was made."
                )
            else:
                time.sleep(_AGAIN_S)

    def _is_abandoned(self, mark: Parameter) -> bool:
        return self.connections.now() - mark.changed_at > _ABANDONED_S

    # --- writing

    def _change(
        self, scope: Scope, change: Edit, check: Callable[[str], None] = lambda _present: None
    ) -> str:
        place = place_of(scope, self.settings.prefix)
        self._encoded({place.name(item.key): item.value for item in change.items if not place.is_document})
        with self._marked(place):
            check(version_of(self._serving(scope, place.path)[1]))
            if place.is_document:
                self._change_document(place, change)
            else:
                self._put_changed(place, change.items)
                self._drop(place, change.gone)
        return self.version(scope)

    def _change_document(self, place: Place, change: Edit) -> None:
        found = self._own(place)
        old = _snapshot(place, found, version_of(found)) if found else edits.NOTHING
        if not found and change.content is None:
            old = Snapshot({}, "", "")
        new = edits.changed(place.scope, old, change, "")
        if new is not old:
            self._put({place.path: new.content or ""}, place, {one.name: one for one in found})

    def _put_changed(self, place: Place, items: Sequence[ConfigurationItem]) -> None:
        values = {place.name(item.key): item.value for item in items}
        there = self._parameters.get(list(values))
        new = {
            name: value
            for name, value in values.items()
            if name not in there or names.read(there[name].value) != value
        }
        self._put(new, place, there)

    def _put(
        self, values: Mapping[str, str], place: Place, there: Mapping[str, Parameter] | None = None
    ) -> None:
        if there is None:
            there = self._parameters.get(list(values))
        end = time.monotonic() + _WRITE_S
        for name, text in self._encoded(values).items():
            kind = there[name].kind if name in there else self._kind(name, place)
            request: dict[str, Any] = {"Value": text, "Type": kind}
            if kind == _SECURE and self.settings.kms_key_id:
                request["KeyId"] = self.settings.kms_key_id
            if self.settings.tier != "Standard":
                request["Tier"] = self.settings.tier
            self._parameters.put(name, request, end)

    def _drop(self, place: Place, keys: Sequence[str]) -> None:
        there = self._parameters.get([place.name(key) for key in keys])
        self._parameters.delete(list(there), time.monotonic() + _WRITE_S)

    def _encoded(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return the texts that stand for *values*, all of which fit."""
        texts = {name: names.stored(value) for name, value in values.items()}
        most = self.limits.max_value_bytes or 0
        for name, text in texts.items():
            if (size := len(text.encode())) > most:
                raise InvalidArgumentError(
                    f"{name} would have {size:,} bytes, and SSM takes {most:,} in tier {self.settings.tier}. Nothing"
                    " was written. Values with `{{` are longer there than here."
                )
        return texts

    def _kind(self, name: str, place: Place) -> str:
        key = place.scope.group if place.is_document else names.decoded(name.rpartition("/")[2])
        return _SECURE if any(fnmatchcase(key, one) for one in self.settings.secure) else "String"

    @contextmanager
    def _marked(self, place: Place) -> Iterator[None]:
        """Write alone among Capa's writers, with readers waiting."""
        with self._writing:
            self._mark(place)
            try:
                yield
            finally:
                self._parameters.delete([place.mark], time.monotonic() + _WRITE_S)

    def _mark(self, place: Place) -> None:
        end = time.monotonic() + self.settings.timeout_s
        while not self._parameters.create(place.mark, "This group is being written by Capa."):
            mark = self._parameters.get([place.mark]).get(place.mark)
            if mark is not None and self._is_abandoned(mark):
                self._parameters.delete([place.mark], end)
            elif time.monotonic() > end:
                raise UnavailableError(f"somebody else is writing {place.path} in SSM: {place.mark} is there")
            else:
                time.sleep(_AGAIN_S)


def _snapshot(place: Place, found: Sequence[Parameter], version: str) -> Snapshot:
    if not found:
        return edits.NOTHING
    if not place.is_document:
        items = (_item(one, names.decoded(one.name.rpartition("/")[2])) for one in found)
        return Snapshot({item.key: item for item in items}, version)
    text, at = names.read(found[0].value), found[0].changed_at
    flat = formats.items(text, formats.suffix_of(place.scope.group), place.path)
    return Snapshot(
        {
            key: ConfigurationItem(key, value, version, changed_at=at, secret=found[0].kind == _SECURE)
            for key, value in flat.items()
        },
        version,
        text,
    )


def _item(one: Parameter, key: str) -> ConfigurationItem:
    return ConfigurationItem(
        key,
        names.read(one.value),
        str(one.version),
        changed_at=one.changed_at,
        secret=one.kind == _SECURE,
    )


def _count(place: Place, found: Sequence[Parameter]) -> int | None:
    """Return the number of items; `None` for a document that cannot be read."""
    if not place.is_document:
        return len(found)
    if found[0].kind == _SECURE:
        return None
    try:
        return len(_snapshot(place, found, "").items)
    except CapaError:
        return None
