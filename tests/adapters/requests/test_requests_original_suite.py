"""The original's own tests end on the shim as they do on the original."""

import pytest
from foreign_packages import UnavailableError
from foreign_suite import Suite, compare
from servers._program import in_ci

from .original_suite import OLDEST, SUITE


@pytest.mark.timeout(400)
@pytest.mark.parametrize("suite", [SUITE, OLDEST], ids=lambda suite: suite.version)
def test_the_originals_own_tests_end_the_same_on_the_shim(suite: Suite) -> None:
    try:
        compared = compare(suite, suite.chosen)
    except UnavailableError as error:
        pytest.fail(str(error)) if in_ci() else pytest.skip(str(error))

    assert compared.different == {}, compared.report()
    assert compared.passed > 250
