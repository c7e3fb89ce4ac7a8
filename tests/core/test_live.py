"""Objects and attributes that follow configuration, on the core alone; `tests/adapters/apollo` has the rest."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import structlog
from pydantic import BaseModel
from pydantic_settings import BaseSettings

from capa_core import Runtime, use_runtime
from capa_core.conformance._tolerance import PATIENCE_S
from capa_core.errors import InvalidArgumentError
from capa_core.live import Values, configured, inject, json_value, switch, value
from capa_core.live.settings_source import GroupSettingsSource
from capa_core.runtime import _current, pin_runtime


@pytest.fixture
def configuration():
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        yield runtime.configuration()


@dataclass
class Limits:
    max_connections: int = 10
    hosts: tuple[str, ...] = ()


def test_a_decorated_class_follows_its_group(configuration):
    @configured("limits.json")
    class Live(BaseModel):
        max_connections: int = 10

    live = Live()
    assert 10 == live.max_connections
    configuration.save_document('{"maxConnections": 5}', group="limits.json")

    assert (5, 5, 7) == (
        live.max_connections,
        Live().max_connections,
        Live(max_connections=7).max_connections,
    )


def test_an_attribute_is_the_newest_object_whole(configuration):
    class Service:
        limits = configured("application", Limits, prefix="shop.limits")

    before = Service().limits
    configuration.save({"shop.limits.max-connections": "3", "shop.limits.hosts[0]": "a", "other": "x"})

    assert (Limits(), Limits(3, ("a",))) == (before, Service().limits)


@dataclass
class Whole:
    timeout: int = 0


@configured()
class Plain:
    timeout: int = 0


class Timed:
    timeout = value("${timeout:0}", int)
    whole: Whole = configured()


late = switch("timeout")
READS = {
    "value": lambda: Timed().timeout,
    "value of the class": lambda: Timed.timeout,
    "configured": lambda: Timed().whole.timeout,
    "configured by itself": configured().get,
    "class itself": lambda: Plain.timeout,
    "switch": lambda: bool(late),
    "share of a switch": lambda: late.on_for("user"),
}


@pytest.fixture(params=READS.values(), ids=READS)
def reads(request, configuration):
    """A function that reads 0 or 1 from `timeout`, one way or another."""

    def read():
        found = request.param()
        return int(found["timeout"] if isinstance(found, dict) else found)

    return read


def test_each_read_is_that_of_the_default_runtime(configuration, reads):
    configuration.save({"timeout": "1"})
    read = [reads(), reads()]
    with Runtime.in_memory() as other, use_runtime(other):
        other.configuration().save({"timeout": "0"})
        read += [reads(), reads()]
        configuration.save({"timeout": "0"})
        other.configuration().save({"timeout": "1"})
        read.append(reads())
    read.append(reads())

    assert [1, 1, 0, 0, 1, 0] == read


def test_each_read_is_that_of_the_runtime_to_which_a_thread_is_pinned(configuration, reads):
    def read(runtime):
        with pin_runtime(runtime):
            return [reads(), reads()]

    configuration.save({"timeout": "1"})
    with Runtime.in_memory() as other, ThreadPoolExecutor(1) as pool:
        other.configuration().save({"timeout": "0"})
        here = [reads(), reads()]
        there = pool.submit(read, other).result()
        here.append(reads())
        configuration.save({"timeout": "0"})

        assert ([1, 1, 1], [0, 0], 0) == (here, there, reads())


def test_a_read_takes_no_lock_once_it_was_bound(configuration, reads):
    configuration.save({"timeout": "1"})
    reads(), reads()
    with ThreadPoolExecutor(1) as pool, _current._lock:
        assert 1 == pool.submit(reads).result(PATIENCE_S)


def test_a_change_while_threads_begin_to_read_is_never_missed(configuration):
    for number in range(200):

        class Fresh:
            timeout = value("${timeout:0}", int)

        configuration.save({"timeout": str(number)})
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(lambda fresh=Fresh: fresh.timeout)
            pool.submit(configuration.save, {"timeout": str(number + 1)}).result()
            first.result()

        assert number + 1 == Fresh.timeout


def test_an_object_is_read_by_itself(configuration):
    limits, raw = configured("limits.json", Limits), configured("limits.json")
    configuration.save_document('{"max_connections": 1, "more": [true]}', group="limits.json")

    assert (Limits(1), {"max_connections": 1, "more": [True]}) == (limits.get(), raw.get())


def test_application_and_label_choose_the_group(configuration):
    configuration.save({"max_connections": "1"}, group="g")
    configuration.save({"max_connections": "2"}, group="g", application="shop", label="blue")

    plain, blue = configured("g", Limits), configured("g", Limits, application="shop", label="blue")
    assert (1, 2) == (plain.get().max_connections, blue.get().max_connections)


def test_the_component_is_chosen_by_name(tmp_path):
    (tmp_path / "capa.toml").write_text(
        'embedded = true\n[configuration.other]\ndriver = "memory"\n[configuration.default]\ndriver = "memory"\n'
    )
    with Runtime(start=tmp_path, environ={}) as runtime, use_runtime(runtime):
        runtime.configuration("other").save({"max_connections": "4"})

        assert 4 == configured(kind=Limits, component="other").get().max_connections
        assert "4" == Values(component="other").value("${max_connections}").get()


def test_what_does_not_fit_is_an_error_first_and_logged_later(configuration):
    limits = configured("limits.json", Limits)
    configuration.save_document('{"max_connections": "many"}', group="limits.json")
    with pytest.raises(InvalidArgumentError, match=r"configured\('limits.json'\): max_connections: "):
        limits.get()
    configuration.save_document('{"max_connections": 1}', group="limits.json")
    assert Limits(1) == limits.get()
    with structlog.testing.capture_logs() as logs:
        configuration.save_document('{"max_connections": "many"}', group="limits.json")

    assert Limits(1) == limits.get()
    assert ["a follower failed and keeps its old value"] == [line["event"] for line in logs]


class Orders:
    timeout_s: float = value("${orders.timeout:2.5}")
    weights: dict[str, int] = json_value("${orders.weights:{}}")

    def __init__(self):
        self.sizes = []

    @value(batch="${orders.batch:50}")
    def resize(self, batch: int) -> None:
        self.sizes.append(batch)


def test_values_follow_their_keys(configuration):
    orders = Orders()
    assert (2.5, {}, [50]) == (orders.timeout_s, orders.weights, orders.sizes)
    configuration.save({"orders.timeout": "4", "orders.weights": '{"a": 1}', "orders.batch": "60"})

    assert (4.0, {"a": 1}, [50, 60]) == (orders.timeout_s, orders.weights, orders.sizes)


def test_arguments_that_are_left_out_are_filled_in(configuration):
    @value(retries="${retries:3}")
    def fetch(path, *, retries: int):
        return path, retries

    @inject
    def load(path, retries: int = value("${retries:3}")):
        return path, retries

    configuration.save({"retries": "7"})
    assert [("p", 7), ("p", 1), ("p", 7), ("p", 1)] == [
        fetch("p"),
        fetch("p", retries=1),
        load("p"),
        load("p", 1),
    ]


def test_the_first_group_that_has_a_key_gives_its_value(configuration):
    both = Values("shop", "application").value("${a}, ${b}")
    configuration.save({"a": "1", "b": "2"})
    configuration.save({"a": "3"}, group="shop")
    assert "3, 2" == both.get()
    configuration.delete(["a"], group="shop")

    assert "1, 2" == both.get()


def test_a_key_without_value_and_default_is_named(configuration):
    with pytest.raises(
        InvalidArgumentError, match=r"no value for \$\{nowhere\}. Set 'nowhere', or write a default"
    ):
        value("${nowhere}").get()


class Settings(BaseSettings):
    timeout_s: float = 5
    limits: Limits = Limits()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
    ):
        return init_settings, env_settings, GroupSettingsSource(settings_cls, configured("shop"))


def test_a_settings_class_reads_a_group(configuration, monkeypatch):
    configuration.save(
        {"timeout-s": "2", "limits.maxConnections": "1", "limits.hosts[0]": "a", "unknown": "x"}, group="shop"
    )
    assert (2.0, Limits(1, ("a",))) == (Settings().timeout_s, Settings().limits)
    monkeypatch.setenv("TIMEOUT_S", "3")

    assert 3.0 == Settings().timeout_s
