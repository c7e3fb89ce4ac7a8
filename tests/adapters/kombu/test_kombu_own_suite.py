"""A part of kombu's own unit tests ends on Capa as it ends on kombu."""

import importlib.util
from pathlib import Path

import pytest
from foreign_packages import UnavailableError
from servers._program import in_ci


@pytest.mark.timeout(400)
def test_its_own_tests_end_as_on_kombu() -> None:
    path = Path(__file__).with_name("kombu_own_suite.py")
    spec = importlib.util.spec_from_file_location("kombu_own_suite", path)
    assert spec is not None
    assert spec.loader is not None
    suite = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(suite)
    try:
        compared = suite.compare(suite.SUITE.chosen)
    except UnavailableError as error:
        pytest.fail(str(error)) if in_ci() else pytest.skip(str(error))

    assert suite.unexpected(compared) == {}, compared.report()
    assert compared.passed > 300
