"""Limits: values up to a declared limit are stored; larger ones are refused before they are sent."""

from __future__ import annotations

import pytest

from capa_core.blocks.configuration import Configuration, ConfigurationFeature
from capa_core.conformance._configuration.suite import Driver, Suite
from capa_core.conformance._limits import affordable, over, unreachable
from capa_core.errors import InvalidArgumentError

_LARGE_BYTES = 300_000


class LimitPromises(Suite):
    """The promises of `limits`."""

    def test_a_value_as_large_as_declared_is_stored(
        self, driver: Driver, configuration: Configuration
    ) -> None:
        self.has(driver, ConfigurationFeature.SAVE)
        value = "x" * min(_LARGE_BYTES, affordable(configuration.limits.max_value_bytes))
        group = "g" * min(configuration.limits.max_name_length, configuration.limits.max_name_bytes or 255)
        configuration.save({"a": value}, group=group)

        assert value == configuration.get(group=group)["a"].value

    def test_a_larger_value_is_refused_before_it_is_sent(
        self, driver: Driver, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.has(driver, ConfigurationFeature.SAVE)
        value = over(configuration.limits.max_value_bytes).decode()
        unreachable(monkeypatch, driver, ["save"])

        with pytest.raises(InvalidArgumentError, match=r"'conformance'.* 'a' .*max_value_bytes"):
            configuration.save({"a": value})

    def test_a_larger_document_is_refused_before_it_is_sent(
        self, driver: Driver, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.has(driver, ConfigurationFeature.SAVE, ConfigurationFeature.DOCUMENTS)
        text = over(configuration.limits.max_document_bytes).decode()
        unreachable(monkeypatch, driver, ["save_document"])

        with pytest.raises(InvalidArgumentError, match="max_document_bytes"):
            configuration.save_document(text, group="a.txt")

    def test_a_name_over_the_limit_in_bytes_is_refused_before_it_is_sent(
        self, driver: Driver, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        most = configuration.limits.max_name_bytes
        if most is None:
            pytest.skip("no limit is known")
        unreachable(monkeypatch, driver, ["get", "save"])

        with pytest.raises(InvalidArgumentError, match="max_name_bytes"):
            configuration.get(group="ü" * (most // 2 + 1))
