"""HTTPie, which subclasses, mounts and patches much of requests, behaves on Capa as before."""

import pytest
from end_to_end.httpie_suite import SUITE
from foreign_packages import UnavailableError
from foreign_suite import compare
from servers._program import in_ci


@pytest.mark.timeout(400)
def test_its_own_tests_end_as_before_the_rewrite() -> None:
    try:
        compared = compare(SUITE, SUITE.chosen)
    except UnavailableError as error:
        pytest.fail(str(error)) if in_ci() else pytest.skip(str(error))

    assert compared.different == {}, compared.report()
    assert compared.passed > 120
