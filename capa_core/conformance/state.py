"""The conformance suite of state drivers, as tests over the portable type.

    class TestMyState(StateConformance):
        @pytest.fixture
        def connect(self, my_server):
            return lambda: MyState(MySettings(url=my_server.url))

The suite measures the declarations of a driver: native abilities are tested on it, those left to the core with
compensation, and a call that needs an absent ability must raise `UnsupportedError`.
"""

from __future__ import annotations

from capa_core.conformance._contract import ContractPromises
from capa_core.conformance._state.etags import EtagPromises
from capa_core.conformance._state.expiry import ExpiryPromises
from capa_core.conformance._state.inspecting import InspectingPromises
from capa_core.conformance._state.life import LifePromises
from capa_core.conformance._state.limits import LimitPromises
from capa_core.conformance._state.many import ManyPromises
from capa_core.conformance._state.numbers import NumberPromises
from capa_core.conformance._state.suite import Connect
from capa_core.conformance._state.values import ValuePromises
from capa_core.conformance._state.waiting import WaitingPromises

__all__ = ["Connect", "StateConformance"]


class StateConformance(
    ValuePromises,
    EtagPromises,
    ExpiryPromises,
    ManyPromises,
    NumberPromises,
    WaitingPromises,
    LifePromises,
    LimitPromises,
    InspectingPromises,
    ContractPromises,
):
    """The promises of `State` and `StateDriver`. Override the fixture `connect`."""
