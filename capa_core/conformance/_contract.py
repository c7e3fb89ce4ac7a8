"""The promises of all drivers, for every block; each suite includes them."""

from __future__ import annotations

from typing import Any

import pytest

from capa_core.call import DEFAULT_POLICY
from capa_core.call.portable import Portable
from capa_core.driver import Driver
from capa_core.errors import ClosedError, UnsupportedError


class ContractPromises:
    """The promises of `native`. The suite defines the fixture `driver`."""

    def test_native_returns_a_client_of_each_declared_type(self, driver: Driver[Any]) -> None:
        with _portable(driver) as portable:
            kinds = portable.native_types
            clients = [portable.native(kind) for kind in kinds]

            assert all(map(isinstance, clients, kinds))
            assert clients == [portable.native(kind) for kind in kinds]

    def test_native_refuses_another_type_and_names_those_there_are(self, driver: Driver[Any]) -> None:
        with _portable(driver) as portable, pytest.raises(UnsupportedError) as refused:
            portable.native(dict)

        assert [] == [kind for kind in driver.clients() if kind.__qualname__ not in str(refused.value)]

    def test_native_after_close_says_so(self, driver: Driver[Any]) -> None:
        portable = _portable(driver)
        kinds: list[type[Any]] = [dict, *portable.native_types]
        portable.close()

        for kind in kinds:
            with pytest.raises(ClosedError):
                portable.native(kind)


def _portable(driver: Driver[Any]) -> Portable[Any]:
    """Return the part of a portable type that all blocks share."""
    return Portable("conformance", driver, "conformance", DEFAULT_POLICY)
