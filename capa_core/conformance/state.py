"""What every state driver must do, as tests over the portable type.

    class TestMyState(StateConformance):
        @pytest.fixture
        def connect(self, my_server):
            return lambda: MyState(MySettings(url=my_server.url))

What a driver declares is what is measured: what it has is tested on it, what it leaves to the core is tested with
the core's help, and what it has not must raise `UnsupportedError`.
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
from capa_core.conformance._state.setting import Connect
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
    """Every promise of `State` and `StateDriver`. Override the fixture `connect`."""
