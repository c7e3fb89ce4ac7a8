"""The conformance suite of secrets drivers, as tests over the portable type.

    class TestMySecrets(SecretsConformance):
        @pytest.fixture
        def stock(self, my_server):
            def stock(secrets):
                my_server.replace_all(secrets)
                return MySecrets(MySettings(url=my_server.url))
            return stock

The suite measures the declarations of a driver: native abilities are tested on it, those left to the core with
compensation, and a call that needs an absent ability must raise `UnsupportedError`.
"""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from capa_core.blocks.secrets import Secret, Secrets, SecretsDriver, SecretsFeature
from capa_core.conformance._contract import ContractPromises
from capa_core.errors import ClosedError, InvalidArgumentError, NotFoundError, UnsupportedError

Stock = Callable[[Mapping[str, str | Mapping[str, str]]], SecretsDriver[Any]]

PLAIN = {
    "token": "s3cret",
    "empty": "",
    "spaces": "  two  ",
    "quotes": 'it\'s "quoted" $HOME ${HOME} #1 \\n',
    "lines": "first\nsecond",
    "unicode": "geheim 🔑 ключ",
    "long": "x" * 5000,
}
LOGIN = {"user": "admin", "password": "hunter2"}


class SecretsConformance(ContractPromises, ABC):
    """The promises of `Secrets` and `SecretsDriver`. Override the fixture `stock`."""

    @pytest.fixture
    @abstractmethod
    def stock(self) -> Stock:
        """Return a function that fills a store with the given secrets and no others, and opens a driver on it.

        A value is the single value of a secret, or its fields. A second call replaces the content of the same store.
        """

    @pytest.fixture
    def driver(self, stock: Stock) -> SecretsDriver[Any]:
        """Return a driver over `PLAIN`, and `LOGIN` if it has fields."""
        fields = stock({}).features[SecretsFeature.FIELDS]
        return stock({**PLAIN, "login": LOGIN} if fields else PLAIN)

    @pytest.fixture
    def secrets(self, driver: SecretsDriver[Any]) -> Iterator[Secrets]:
        """Yield the portable type over the driver."""
        with Secrets(driver, name="conformance") as secrets:
            yield secrets

    def test_declares_every_ability(self, driver: SecretsDriver[Any]) -> None:
        assert set(SecretsFeature) == set(driver.features)

    def test_gives_a_reason_for_each_absent_ability(self, driver: SecretsDriver[Any]) -> None:
        assert [] == [
            feature for feature, support in driver.features.items() if not support and not support.note
        ]

    def test_every_ability_of_level_0_holds_after_compensation(self, secrets: Secrets) -> None:
        assert [] == [
            feature for feature, support in secrets.features.items() if feature.level == 0 and not support
        ]

    @pytest.mark.parametrize("name", PLAIN)
    def test_a_value_comes_out_as_it_was_put_in(self, secrets: Secrets, name: str) -> None:
        assert PLAIN[name] == secrets.get(name).reveal()

    def test_a_value_does_not_print(self, secrets: Secrets) -> None:
        secret = secrets.get("token")

        assert isinstance(secret, Secret)
        assert "s3cret" not in f"{secret} {secret!r} {secrets.get_all()}"

    @pytest.mark.parametrize(
        "name", ["missing", "TOKEN", "../token", "/etc/passwd", "..", "a\x00b", "*", "*/token"]
    )
    def test_a_missing_secret_is_not_found(self, secrets: Secrets, name: str) -> None:
        with pytest.raises(NotFoundError, match="no secret"):
            secrets.get(name)

    @pytest.mark.parametrize("name", ["", None, b"token", "\ud83d"])
    def test_an_invalid_name_is_refused(self, secrets: Secrets, name: Any) -> None:
        with pytest.raises(InvalidArgumentError):
            secrets.get(name)

    def test_each_field_is_read_by_its_name(self, secrets: Secrets) -> None:
        _needs(secrets, SecretsFeature.FIELDS)

        assert LOGIN == {field: secrets.get("login", field=field).reveal() for field in LOGIN}
        assert LOGIN == {field: secret.reveal() for field, secret in secrets.get_fields("login").items()}

    def test_a_single_value_is_the_nameless_field(self, secrets: Secrets) -> None:
        assert {"": Secret("s3cret")} == secrets.get_fields("token")

    def test_a_secret_of_several_fields_requires_a_field(self, secrets: Secrets) -> None:
        _needs(secrets, SecretsFeature.FIELDS)

        with pytest.raises(NotFoundError, match="several fields. Give one of: password, user"):
            secrets.get("login")

    def test_a_missing_field_is_not_found(self, secrets: Secrets) -> None:
        _needs(secrets, SecretsFeature.FIELDS)

        with pytest.raises(NotFoundError, match="no field 'port'"):
            secrets.get("login", field="port")
        with pytest.raises(NotFoundError, match="single value"):
            secrets.get("token", field="port")

    def test_without_fields_a_field_is_refused(self, secrets: Secrets) -> None:
        if secrets.features[SecretsFeature.FIELDS]:
            pytest.skip("it has fields")

        with pytest.raises(UnsupportedError, match="fields"):
            secrets.get("token", field="user")

    def test_without_versions_a_version_is_refused(self, secrets: Secrets) -> None:
        if secrets.features[SecretsFeature.VERSIONS]:
            pytest.skip("it has versions")

        with pytest.raises(UnsupportedError, match="versions"):
            secrets.get("token", version="1")

    def test_all_are_read_at_once(self, driver: SecretsDriver[Any], secrets: Secrets) -> None:
        expected: dict[str, Mapping[str, str]] = {name: {"": value} for name, value in PLAIN.items()}
        if driver.features[SecretsFeature.FIELDS]:
            expected["login"] = LOGIN
        found = secrets.get_all()

        assert expected == {
            name: {field: secret.reveal() for field, secret in fields.items()}
            for name, fields in found.items()
        }
        assert sorted(expected) == secrets.names()

    def test_a_change_is_seen_without_a_restart(self, stock: Stock, secrets: Secrets) -> None:
        secrets.get("token")
        stock({"token": "rotated", "new": "one"})

        assert ("rotated", "one") == (secrets.get("token").reveal(), secrets.get("new").reveal())
        with pytest.raises(NotFoundError):
            secrets.get("unicode")

    def test_an_error_does_not_show_a_value(self, secrets: Secrets) -> None:
        _needs(secrets, SecretsFeature.FIELDS)
        with pytest.raises(NotFoundError) as caught:
            secrets.get("login", field="port")

        assert "hunter2" not in "".join(traceback.format_exception(caught.value))

    def test_ping_describes_the_store(self, secrets: Secrets) -> None:
        assert "s3cret" not in secrets.ping()

    def test_a_second_close_does_nothing(self, driver: SecretsDriver[Any]) -> None:
        secrets = Secrets(driver)
        secrets.close()

        secrets.close()

    def test_calls_after_close_raise_a_closed_error(self, driver: SecretsDriver[Any]) -> None:
        secrets = Secrets(driver)
        secrets.close()

        for call in (lambda: secrets.get("token"), secrets.get_all, secrets.names, secrets.ping):
            with pytest.raises(ClosedError):
                call()


def _needs(secrets: Secrets, feature: SecretsFeature) -> None:
    support = secrets.features[feature]
    if not support:
        pytest.skip(f"no {feature}: {support.note}")
