"""`value`, `apollo_json_value` and `inject`."""

import enum
import inspect
import itertools
import threading
import time
from dataclasses import dataclass
from datetime import date

import pytest
import structlog

from capa_apollo import apollo_json_value, enable_apollo_config, inject, value
from capa_core import Runtime, use_runtime
from capa_core.errors import InvalidArgumentError


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: int = 0


def test_an_attribute_has_the_newest_value(configuration):
    class Orders:
        timeout_s: float = value("${orders.timeout:2.5}")

    orders = Orders()
    before = orders.timeout_s
    configuration.save({"orders.timeout": "4"})

    assert (2.5, 4.0) == (before, orders.timeout_s)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (str, "1", "1"),
        (int, "7", 7),
        (float, "1.5", 1.5),
        (bool, "on", True),
        (bool, "no", False),
        (bytes, "ü", "ü".encode()),
        (Colour, "red", Colour.RED),
        (date, "2026-11-22", date(2026, 11, 22)),
        (list[int], "1, 2,3", [1, 2, 3]),
        (list[int], "[1, 2]", [1, 2]),
        (list[str], "", []),
        (set[str], "a,b,a", {"a", "b"}),
        (tuple[int, ...], "1,2", (1, 2)),
        (dict[str, int], '{"a": "1"}', {"a": 1}),
        (int | None, "", None),
        (int | None, "3", 3),
    ],
)
def test_text_becomes_the_annotated_type(configuration, kind, text, expected):
    configuration.save({"k": text})

    assert expected == value("${k}", kind).get()


def test_without_annotation_a_value_is_text(configuration):
    class Plain:
        key = value("${k:1}")

    assert "1" == Plain.key


def test_a_change_of_any_key_resolves_the_whole_expression(configuration):
    class Service:
        address: str = value("http://${host:localhost}:${port:${default.port:80}}/")

    seen = [Service.address]
    for change in ({"default.port": "81"}, {"host": "h"}, {"port": "82"}):
        configuration.save(change)
        seen.append(Service.address)
    configuration.delete(["port", "host"])

    expected = ["localhost:80", "localhost:81", "h:81", "h:82", "localhost:81"]
    assert [f"http://{each}/" for each in expected] == [*seen, Service.address]


def test_a_value_that_does_not_fit_keeps_the_one_before_and_is_logged_without_it(configuration):
    class Orders:
        limit: int = value("${limit:3}")

    assert 3 == Orders.limit
    with structlog.testing.capture_logs() as logs:
        configuration.save({"limit": "s3cret"})

    assert 3 == Orders.limit
    assert ["error"] == [entry["log_level"] for entry in logs]
    assert "Orders.limit" in logs[0]["error"]
    assert "s3cret" not in str(logs)


def test_a_value_that_does_not_fit_at_first_is_an_error(configuration):
    configuration.save({"limit": "many"})
    with pytest.raises(InvalidArgumentError, match=r"'\$\{limit\}': value: Input should be a valid integer"):
        value("${limit}", int).get()


def test_a_key_without_value_and_default_is_an_error(runtime):
    with pytest.raises(InvalidArgumentError, match="no value for"):
        value("${nowhere}").get()


def test_an_expression_gives_its_own_type(configuration):
    configuration.save({"list": "a;b"})

    assert ["a", "b"] == value("#{'${list}'.split(';')}", list[str]).get()
    assert 3000 == value("#{${seconds:3} * 1000}", int).get()


def test_json_is_read_into_the_generic_type(configuration):
    class Prices:
        by_size: dict[str, list[Point]] = apollo_json_value('${points:{"a": [{"x": 1}]}}')

    before = Prices.by_size
    configuration.save({"points": '{"b": [{"x": "2", "y": 3}]}'})

    assert ({"a": [Point(1)]}, {"b": [Point(2, 3)]}) == (before, Prices.by_size)


def test_json_that_is_malformed_is_an_error_at_first_and_kept_out_later(configuration):
    wanted = apollo_json_value("${points:[1]}", list[int])
    assert [1] == wanted.get()
    with structlog.testing.capture_logs():
        configuration.save({"points": "[1"})

    assert [1] == wanted.get()
    with pytest.raises(InvalidArgumentError, match="not JSON"):
        apollo_json_value("${points}", list[int]).get()


def test_a_setter_is_called_after_init_and_at_each_change(configuration):
    class Pool:
        def __init__(self, name):
            self.name, self.sizes = name, []

        @value("${pool.size:5}")
        def resize(self, size: int):
            self.sizes.append((self.name, size))

    first, second = Pool("first"), Pool(name="second")
    configuration.save({"pool.size": "6"})
    configuration.save({"other": "x"})

    assert [[("first", 5), ("first", 6)], [("second", 5), ("second", 6)]] == [first.sizes, second.sizes]


def test_a_setter_can_be_called_as_before(runtime):
    class Pool:
        @value("${pool.size:5}")
        def resize(self, size: int):
            self.size = size

    pool = Pool()
    pool.resize(9)

    assert (9, "resize") == (pool.size, Pool.resize.__name__)


def test_an_instance_is_not_kept_alive_by_its_setters(configuration):
    called = []

    class Pool:
        @value("${pool.size:5}")
        def resize(self, size: int):
            called.append(size)

    Pool()
    configuration.save({"pool.size": "6"})

    assert [5] == called


def test_a_function_gets_the_arguments_that_its_caller_omits(configuration):
    @value(retries="${http.retries:3}", host="${http.host:localhost}")
    def fetch(path, *, retries: int, host: str):
        return path, retries, host

    configuration.save({"http.retries": "4"})

    assert ("/", 4, "localhost") == fetch("/")
    assert ("/", 1, "h") == fetch("/", retries=1, host="h")


def test_a_function_of_one_parameter_needs_no_name(configuration):
    @value("${n:3}")
    def double(n: int):
        return 2 * n

    assert (6, 8) == (double(), double(4))


def test_inject_fills_parameters_whose_default_is_a_value(configuration):
    @inject
    def fetch(
        path,
        retries: int = value("${retries:3}"),
        limits: list[int] = apollo_json_value("${limits:[1]}"),  # noqa: B008 - that is how it is used
    ):
        return path, retries, limits

    assert ("/", 3, [1]) == fetch("/")
    assert ("/", 5, [2]) == fetch("/", 5, limits=[2])


def test_inject_works_on_methods(configuration):
    class Client:
        @inject
        def fetch(self, path, retries: int = value("${retries:3}")):
            return self, path, retries

    client = Client()
    assert (client, "/", 3) == client.fetch("/")


def test_a_decorated_function_looks_like_itself(runtime):
    @value(n="${n:1}")
    def documented(n: int, m: str = "x") -> int:
        """Do it."""

    assert ("documented", "Do it.") == (documented.__name__, documented.__doc__)
    assert ["n", "m"] == list(inspect.signature(documented).parameters)


def test_wrong_parameters_are_an_error_at_decoration(runtime):
    with pytest.raises(InvalidArgumentError, match="no parameter size"):
        value(size="${n}")(lambda n: n)
    with pytest.raises(InvalidArgumentError, match="For several write"):
        value("${n}")(lambda a, b: a)


def test_namespaces_are_looked_through_in_order(configuration):
    configuration.save({"k": "application"})
    configuration.save({"k": "strong", "only": "1"}, group="strong")
    configuration.save({"k": "weak", "only": "2", "last": "3"}, group="weak")

    class Reader:
        k: str = value("${k}")
        only: str = value("${only:}")
        last: str = value("${last:}")

    before = Reader.k
    enable_apollo_config("weak", order=2)
    enable_apollo_config(["strong", "application"], order=1)

    assert "application" == before
    assert ("strong", "1", "3") == (Reader.k, Reader.only, Reader.last)


def test_namespaces_of_several_apps_are_looked_through_in_order(configuration):
    configuration.save({"k": "own", "own": "1"})
    configuration.save({"k": "other", "other": "2"}, application="other")
    configuration.save({"k": "third", "third": "3"}, application="third", group="db")

    class Reader:
        k: str = value("${k}")
        all: str = value("${own:}${other:}${third:}")

    enable_apollo_config(order=2)
    enable_apollo_config(order=1, app_id="other")
    enable_apollo_config("db", order=3, app_id="third")
    before = Reader.k
    configuration.save({"k": "changed"}, application="other")

    assert ("other", "changed", "123") == (before, Reader.k, Reader.all)


def test_enable_apollo_config_decorates_a_class(configuration):
    configuration.save({"k": "v"}, group="other.yaml".removesuffix(".yaml"))

    @enable_apollo_config("other")
    class Application:
        k: str = value("${k}")

    assert "v" == Application.k


def test_another_runtime_has_its_own_values(configuration):
    class Reader:
        k: str = value("${k:none}")

    configuration.save({"k": "1"})
    first = Reader.k
    with Runtime.in_memory() as other, use_runtime(other):
        second = Reader.k
        configuration.save({"k": "2"})
        still = Reader.k

    assert ("1", "none", "none", "2") == (first, second, still, Reader.k)


def test_threads_that_read_bind_and_save_at_once_do_not_lock_each_other_out(configuration):
    """Values that go out of scope end their following wherever the collector runs: under any lock."""
    enable_apollo_config("a", "b", "c")
    end, failures = time.monotonic() + 1.5, []

    def save(names):
        for number, name in enumerate(itertools.cycle(names)):
            if time.monotonic() > end:
                return
            configuration.save({"x": str(number)}, group=name)

    def read():
        while time.monotonic() < end:
            if not isinstance(value("${x:0}", int).get(), int):
                failures.append("no number")

    threads = [threading.Thread(target=save, args=(names,), daemon=True) for names in ("abc", "cba")]
    threads += [threading.Thread(target=read, daemon=True) for _ in range(3)]
    [thread.start() for thread in threads]
    [thread.join(10) for thread in threads]

    assert ([], False) == (failures, any(thread.is_alive() for thread in threads))
