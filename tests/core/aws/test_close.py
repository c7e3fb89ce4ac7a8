"""Components of AWS that are closed while calls are under way."""

import pytest

from capa_core.blocks.configuration import Scope
from capa_core.components.aws._client import Clients
from capa_core.components.aws._errors import AwsError
from capa_core.components.aws._looks import Looks
from capa_core.components.aws._settings import AwsSettings
from capa_core.errors import ClosedError, UnavailableError


def test_a_closed_component_makes_no_client():
    clients = Clients(AwsSettings(region="eu-west-1", access_key_id="a", secret_access_key="b"))
    clients.close()

    with pytest.raises(ClosedError):
        clients.client("ssm")


@pytest.mark.parametrize(
    "error", [ClosedError("the component is closed"), AwsError(UnavailableError, "the connection ended")]
)
def test_a_look_that_the_end_of_the_component_breaks_is_no_error(error):
    def version(_scope: Scope) -> str:
        looks.close()
        raise error

    looks = Looks(version, lambda: 0.1)

    assert looks.wait({Scope(): ""}, 5) == {}


def test_a_look_that_breaks_before_is_one():
    def version(_scope: Scope) -> str:
        raise AwsError(UnavailableError, "no answer")

    looks = Looks(version, lambda: 0.1)

    with pytest.raises(AwsError, match="no answer"):
        looks.wait({Scope(): ""}, 5)
