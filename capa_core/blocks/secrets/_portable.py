"""Secrets: read values by name, wrapped so that they are not printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from capa_core.abilities import BY_CORE
from capa_core.blocks.secrets.driver import SecretsDriver, SecretsFeature, SecretsLimits
from capa_core.call import DEFAULT_POLICY, Policy
from capa_core.call.checks import check_unicode
from capa_core.call.limits import bound, refuse
from capa_core.call.portable import Portable, counted
from capa_core.errors import InvalidArgumentError, NotFoundError, UnsupportedError
from capa_core.secret import Secret


class Secrets(Portable[SecretsDriver[Any]]):
    """Secrets by name, from the store that serves the component. Safe for many threads; read only.

    A secret has one value, or several named *fields*. Values are returned as `Secret`, which does not print them.

        password = secrets.get("database", field="password").reveal()

    Any call may raise `UnavailableError` or `DeadlineError` (the store did not answer), `PermissionDeniedError`,
    and `ClosedError`.
    """

    def __init__(
        self, driver: SecretsDriver[Any], *, name: str = "default", policy: Policy = DEFAULT_POLICY
    ) -> None:
        super().__init__("secrets", driver, name, policy)
        if not driver.features[SecretsFeature.BULK].by_driver:
            self._features = {**driver.features, SecretsFeature.BULK: BY_CORE}
        self._limits = driver.limits
        self._max_name_length = bound(self._limits.max_name_length)

    @property
    def limits(self) -> SecretsLimits:
        """The limits of the store; a call over one of them is refused before it is sent."""
        return self._limits

    def get(self, name: str, *, field: str = "", version: str | None = None) -> Secret:
        """Return one current value of the secret *name*.

        Args:
            name: The name in the store.
            field: The field; `""` for a secret with a single value.
            version: An older version, as the store names it; `None` for the current one.

        Raises:
            NotFoundError: The secret does not exist, or it does not have the field.
            UnsupportedError: The component has no versions, or no fields, and one was given.

        Retries: repeated.
        """
        if field:
            self._require(SecretsFeature.FIELDS)
        fields = self._fields(name, version)
        if field not in fields:
            raise NotFoundError(_no_such_field(name, field, fields))
        return Secret(fields[field])

    def get_fields(self, name: str, *, version: str | None = None) -> dict[str, Secret]:
        """Return all values of the secret *name*; a single value is the field `""`.

        Raises:
            NotFoundError: The secret does not exist.
            UnsupportedError: The component has no versions, and one was given.

        Retries: repeated.
        """
        return _wrapped(self._fields(name, version))

    def get_all(self) -> dict[str, dict[str, Secret]]:
        """Return the fields of every readable secret by name.

        Retries: repeated.
        """
        if self._driver.features[SecretsFeature.BULK].by_driver:
            found = self._guard.safe("get_all", self._driver.get_all)
            return {name: _wrapped(fields) for name, fields in found.items()}
        each = {name: self._guard.safe("get", self._driver.get, name, None) for name in self.names()}
        return {name: _wrapped(fields) for name, fields in each.items() if fields is not None}

    def names(self) -> list[str]:
        """Return the names of the readable secrets.

        Retries: repeated.
        """
        return sorted(self._guard.safe("names", self._driver.names))

    def summary(self) -> str:
        """See `Portable.summary`."""
        return counted(len(self.names()), "secret")

    def _fields(self, name: str, version: str | None) -> Mapping[str, str]:
        _check_name(name)
        if len(name) > self._max_name_length:
            refuse(f"secrets {self.name!r}", "the name", len(name), self._limits, "max_name_length")
        if version is not None:
            self._require(SecretsFeature.VERSIONS)
        fields = self._guard.safe("get", self._driver.get, name, version)
        if fields is None:
            raise NotFoundError(f"secrets {self.name!r} has no secret {name!r}. Add it, or correct the name.")
        return fields

    def _require(self, feature: SecretsFeature) -> None:
        support = self._features[feature]
        if not support:
            raise UnsupportedError(
                f"secrets {self.name!r} has no {feature}: {support.note}. Choose another driver in capa.toml."
            )


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise InvalidArgumentError(f"the name of a secret is {name!r}: give a text that is not empty")
    check_unicode("the name of a secret", name)


def _wrapped(fields: Mapping[str, str]) -> dict[str, Secret]:
    return {field: Secret(text) for field, text in fields.items()}


def _no_such_field(name: str, field: str, fields: Mapping[str, str]) -> str:
    if set(fields) == {""}:
        return f"the secret {name!r} has a single value and no field {field!r}. Omit the field."
    problem = f"no field {field!r}" if field else "several fields"
    return f"the secret {name!r} has {problem}. Give one of: {', '.join(sorted(fields))}."
