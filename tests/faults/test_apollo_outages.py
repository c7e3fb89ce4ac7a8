"""Apollo that is down, dies, or answers nonsense: values stay, are told to be old, and the newest always arrives."""

import time
from itertools import pairwise

import pytest
from tcp_proxy import TcpProxy

from capa_core.blocks.configuration import Configuration
from capa_core.call import Policy
from capa_core.components.apollo.configuration import ApolloConfiguration, ApolloConfigurationSettings
from capa_core.conformance._tolerance import is_prompt, wait_until
from capa_core.errors import DeadlineError, UnavailableError

WRONG = ["500", "html", "garbage", "truncated"]
ONE_TRY = Policy(retries=0, attempt_s=1.0)


@pytest.fixture
def connect(apollo, tmp_path):
    """Return a function that makes a component which keeps its values in a folder of the test."""
    made = []

    def make(url=apollo.url, *, policy=ONE_TRY, **more) -> Configuration:
        given = {"url": url, "app_id": "app", "timeout_s": 1.0, **more}
        driver = ApolloConfiguration(ApolloConfigurationSettings(**given))
        made.append(Configuration(driver, "outages", policy, folder=tmp_path / ".capa", poll_s=0.1))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def kept(apollo, connect):
    """Keep values on disk, as an earlier process did, and stop the server."""
    for group in ("application", "db"):
        apollo.release(group, {"a": "1"})
    with connect() as earlier:
        for group in ("application", "db"):
            earlier.view(group)
    apollo.stop()


def told(caplog, words):
    return [record for record in caplog.records if words in record.getMessage()]


class TestStart:
    @pytest.mark.quiet
    def test_a_server_that_is_down_costs_200_ms_at_most(self, kept, connect):
        def start_s() -> float:
            later = connect(policy=Policy())
            started = time.monotonic()
            views = [later.view(group) for group in ("application", "db")]
            took_s = time.monotonic() - started

            assert [("1", True), ("1", True)] == [(view["a"], view.stale) for view in views]
            return took_s

        assert is_prompt(start_s, 0.2)

    def test_it_is_told_and_mended_without_a_restart(self, apollo, kept, connect, caplog):
        caplog.set_level("INFO")
        view = connect().view()
        said = told(caplog, "the engine does not answer; serving the values read last")
        apollo.start()
        apollo.release("application", {"a": "2"})
        wait_until(lambda: view["a"] == "2")
        wait_until(lambda: told(caplog, "configuration is up to date again"))

        assert (1, False) == (len(said), view.stale)

    def test_without_values_from_before_it_is_an_error(self, apollo, connect):
        apollo.stop()

        with pytest.raises(UnavailableError, match="cannot connect"):
            connect().view()

    @pytest.mark.quiet
    def test_a_server_that_is_silent_is_waited_for_once(self, apollo, connect, kept):
        apollo.start()
        with TcpProxy.to(int(apollo.url.rpartition(":")[2])) as silent:
            silent.go_silent()
            later = connect(f"http://127.0.0.1:{silent.port}")
            started = time.monotonic()
            views = [later.view(group) for group in ("application", "db")]
            took_s = time.monotonic() - started

        assert ["1", "1"] == [view["a"] for view in views]
        assert took_s < 1.9

    @pytest.mark.parametrize(
        ("group", "stored", "wanted"),
        [
            ("application", "a=2\nnew=n\nk\\ \\u00E9=\\u6F22\n", {"a": "2", "new": "n", "k é": "漢"}),
            ("limits.json", 'content={"most"\\: 3}\n', {"most": "3"}),
        ],
    )
    def test_the_cache_of_a_java_client_serves(self, apollo, connect, tmp_path, group, stored, wanted):
        """The texts are as apollo-client 2.4.0 wrote them, with the test server."""
        folder = tmp_path / "app" / "config-cache"
        folder.mkdir(parents=True)
        (folder / f"app+default+{group}.properties").write_text(
            f"#Persisted by DefaultConfig\n#Sun Nov 29 09:58:43 UTC 2026\n{stored}"
        )
        apollo.stop()
        view = connect(java_cache="{app_id}", root=tmp_path).view(group)

        assert (wanted, True) == (dict(view), view.stale)

    def test_own_values_go_before_those_of_a_java_client(self, kept, connect, tmp_path):
        folder = tmp_path / "config-cache"
        folder.mkdir()
        (folder / "app+default+application.properties").write_text("a=of java\n")

        assert "1" == connect(java_cache=tmp_path).view()["a"]

    def test_a_damaged_cache_of_a_java_client_is_none(self, apollo, connect, tmp_path):
        folder = tmp_path / "config-cache"
        folder.mkdir()
        (folder / "app+default+application.properties").write_text("a=\\u12\n")
        apollo.stop()

        with pytest.raises(UnavailableError):
            connect(java_cache=tmp_path).view()

    def test_a_wrong_access_key_is_an_error_in_spite_of_kept_values(self, apollo, kept, connect):
        apollo.start()
        apollo.store.secrets["app"] = ["right"]

        with pytest.raises(Exception, match="Correct `secret`"):
            connect(secret="wrong").view()


class TestLater:
    def test_a_server_that_dies_leaves_the_values_and_says_so(self, apollo, connect):
        apollo.release("application", {"a": "1"})
        one = connect()
        view = one.view()
        wait_until(lambda: any("notifications" in path for _, path in apollo.seen))
        apollo.stop()
        wait_until(lambda: view.stale)
        seen = view["a"], one.get()["a"].value
        apollo.start()
        apollo.release("application", {"a": "2"})
        wait_until(lambda: view["a"] == "2")

        assert (("1", "1"), False) == (seen, view.stale)

    @pytest.mark.parametrize("where", ["/configs", "/notifications"])
    @pytest.mark.parametrize("how", WRONG)
    def test_wrong_answers_change_no_value_and_hide_no_change(self, apollo, connect, how, where):
        apollo.hold_s = 0.2
        apollo.release("application", {"a": "1"})
        view = connect().view()
        apollo.break_answers(how, of=where)
        apollo.release("application", {"a": "2"})
        wait_until(lambda: view.stale)
        during = view["a"]
        apollo.break_answers("")
        wait_until(lambda: view["a"] == "2" and not view.stale)

        # A poll that fails does not keep the values from being read.
        assert "1" == during or where == "/notifications"

    @pytest.mark.quiet
    @pytest.mark.parametrize("place", ["url", "meta"])
    def test_an_answer_that_drips_ends_with_the_time_of_the_call(self, apollo, connect, place):
        apollo.release("application", {"a": "x" * 200})
        apollo.drip_s = 0.05
        one = connect(**{place: apollo.url})
        started = time.monotonic()
        with pytest.raises(DeadlineError, match=f"no complete answer from {apollo.url} in time"):
            one.get()

        assert time.monotonic() - started < 1.5

    def test_a_notification_that_drips_hides_no_change(self, apollo, connect):
        apollo.release("application", {"a": "1"})
        view = connect().view()
        wait_until(lambda: sum("notifications" in path for _, path in apollo.seen) == 2)
        apollo.drip_s = 0.05
        apollo.release("application", {"a": "2"})
        wait_until(lambda: view.stale)
        apollo.drip_s = 0.0
        wait_until(lambda: view["a"] == "2" and not view.stale)

        assert "2" == view["a"]

    def test_a_proxy_that_cuts_held_polls_makes_nothing_stale(self, apollo, connect, caplog):
        apollo.release("application", {"a": "1"})
        with TcpProxy.to(int(apollo.url.rpartition(":")[2])) as proxy:
            view, stale = connect(f"http://127.0.0.1:{proxy.port}").view(), []
            for sent, held_s in ((2, 0.1), (3, 1.2), (4, 1.2)):
                wait_until(lambda sent=sent: sum("notifications" in path for _, path in apollo.seen) == sent)
                time.sleep(held_s)
                proxy.cut()
                stale.append(view.stale)
            wait_until(lambda: sum("notifications" in path for _, path in apollo.seen) == 5)
            apollo.release("application", {"a": "2"})
            wait_until(lambda: view["a"] == "2")
            stale.append(view.stale)

        assert [False] * 4 == stale
        assert [] == told(caplog, "cannot be refreshed")

    def test_what_was_published_during_a_restart_is_read_after_it(self, apollo, connect):
        apollo.release("application", {"a": "1"})
        view = connect().view()
        wait_until(lambda: sum("notifications" in path for _, path in apollo.seen) == 2)
        apollo.stop()
        apollo.release("application", {"a": "2"})
        apollo.start()
        wait_until(lambda: view["a"] == "2")

        assert "2" == view["a"]

    @pytest.mark.timeout(120)
    def test_of_1000_changes_over_a_flapping_link_the_last_arrives_and_listeners_are_in_order(
        self, apollo, connect
    ):
        apollo.release("application", {"a": "0"})
        with TcpProxy.to(int(apollo.url.rpartition(":")[2])) as proxy:
            one = connect(f"http://127.0.0.1:{proxy.port}")
            view, seen = one.view(), [0]
            one.watch(lambda event: seen.append(int(event.new.items["a"].value)))
            for number in range(1, 1001):
                apollo.release("application", {"a": str(number)})
                if number % 50 == 0:
                    proxy.cut()
                time.sleep(0.005)
            wait_until(lambda: view["a"] == "1000" and seen[-1] == 1000)

        assert all(before < after for before, after in pairwise(seen))
