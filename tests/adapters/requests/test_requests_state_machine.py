"""Any sequence of calls on two sessions, one of the original and one of the shim, leads to the same."""

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from .twins import BOTH, outcome

NAMES = st.sampled_from(["a", "b", "X-Some", "x-some"])
VALUES = st.one_of(st.none(), st.text("ab =;,\"'\\é", max_size=6))
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
MANY = st.one_of(VALUES, st.lists(TEXTS, max_size=2))
SEGMENTS = st.lists(TEXTS.filter(lambda text: not set(text) & set("?#\\")), max_size=3).map("/".join)
FLAGS = st.booleans()


class Twins(RuleBasedStateMachine):
    """Does each step on both sessions and compares the results and the state of the sessions."""

    url: str

    @initialize()
    def open(self) -> None:
        self.sessions = [library.Session() for library in BOTH]
        for session in self.sessions:
            session.trust_env = False

    def teardown(self) -> None:
        for session in self.sessions:
            session.close()

    def _both(self, step: Any) -> None:
        original, shim = (outcome(step, session) for session in self.sessions)
        assert original == shim
        held = [
            (sorted((c.name, c.value, c.domain, c.path) for c in session.cookies), dict(session.headers))
            for session in self.sessions
        ]
        assert held[0] == held[1]

    @rule(
        method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "get", "Patch"]),
        path=SEGMENTS,
        params=st.one_of(st.none(), TEXTS, st.dictionaries(TEXTS, MANY, max_size=2)),
        headers=st.one_of(st.none(), st.dictionaries(NAMES, VALUES, max_size=2)),
        data=st.one_of(st.none(), TEXTS, st.binary(max_size=8), st.dictionaries(TEXTS, TEXTS, max_size=2)),
        cookies=st.one_of(
            st.none(), st.dictionaries(st.sampled_from("ab"), st.sampled_from(["1", ""]), max_size=2)
        ),
    )
    def call(self, method: str, path: str, params: Any, headers: Any, data: Any, cookies: Any) -> None:
        arguments = {"params": params, "headers": headers, "data": data, "cookies": cookies}
        self._both(lambda session: session.request(method, f"{self.url}/echo/{path}", **arguments))

    @rule(
        payload=st.recursive(
            st.none() | FLAGS | TEXTS, lambda inner: st.lists(inner, max_size=2), max_leaves=4
        )
    )
    def post_json(self, payload: Any) -> None:
        self._both(lambda session: session.post(f"{self.url}/echo", json=payload))

    @rule(name=st.sampled_from("ab"), value=st.sampled_from(["1", "2", "x%20y"]))
    def be_given_a_cookie(self, name: str, value: str) -> None:
        self._both(lambda session: session.get(f"{self.url}/cookie?{name}={value}"))

    @rule(
        status=st.sampled_from([301, 302, 303, 307, 308]),
        method=st.sampled_from(["GET", "POST", "HEAD"]),
        follow=FLAGS,
    )
    def be_redirected(self, status: int, method: str, follow: bool) -> None:
        path = f"/redirect/{status}?to=/redirect/302%3Fto=/echo"
        self._both(lambda session: session.request(method, self.url + path, data="x", allow_redirects=follow))

    @rule(
        kind=st.sampled_from(
            [
                "gzip",
                "deflate",
                "chunked",
                "notgzip",
                "bytes/20000",
                "status/404",
                "status/500",
                "close",
            ]
        )
    )
    def read(self, kind: str) -> None:
        self._both(lambda session: session.get(f"{self.url}/{kind}"))

    @rule(
        kind=st.sampled_from(["gzip", "chunked", "bytes/20000"]),
        size=st.sampled_from([1, 100, 4096, None]),
        whole=FLAGS,
    )
    def stream(self, kind: str, size: int | None, whole: bool) -> None:
        def step(session: Any) -> Any:
            with session.get(f"{self.url}/{kind}", stream=True) as response:
                pieces = response.iter_content(size)
                return b"".join(pieces) if whole else bool(next(pieces))

        self._both(step)

    @rule(name=NAMES, value=VALUES)
    def set_a_header(self, name: str, value: str | None) -> None:
        for session in self.sessions:
            session.headers[name] = value

    @rule(login=st.sampled_from([None, ("user", "pass")]), params=st.sampled_from([{}, {"always": "1"}]))
    def set_defaults(self, login: Any, params: dict[str, str]) -> None:
        for session in self.sessions:
            session.auth, session.params = login, params

    @rule()
    def forget_cookies(self) -> None:
        for session in self.sessions:
            session.cookies.clear()

    @rule()
    def close_and_go_on(self) -> None:
        for session in self.sessions:
            session.close()


@pytest.mark.timeout(300)
def test_two_sessions_stay_the_same(server: Any, request: pytest.FixtureRequest) -> None:
    Twins.url = server.url

    thrifty = settings(
        max_examples=15,
        stateful_step_count=20,
        derandomize=True,
        phases=(Phase.generate,),  # a failure is short already, and shrinking it takes minutes
        database=None,
        suppress_health_check=list(HealthCheck),
    )

    run_state_machine_as_test(Twins, settings=thrifty)
