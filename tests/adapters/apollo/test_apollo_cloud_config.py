"""`cloud_config` on classes and attributes."""

import inspect
import threading
from dataclasses import asdict, dataclass, field

import pytest
import structlog
from pydantic import BaseModel, Field, computed_field

from capa_apollo import cloud_config
from capa_core import Runtime, use_runtime
from capa_core.errors import InvalidArgumentError

TEXT = '{"name": "a", "max-connections": 5, "database": {"port": "5432", "hosts": ["x"]}}'
CHANGED = '{"name": "b", "maxConnections": 6, "database": {"port": 1}}'


@dataclass
class Database:
    port: int
    hosts: list[str] = field(default_factory=list)


def make_dataclass():
    @cloud_config("testjson.json")
    @dataclass
    class Limits:
        name: str
        database: Database
        max_connections: int = 10

        def url(self):
            return f"{self.name}:{self.database.port}"

    return Limits


def make_model():
    @cloud_config("testjson.json")
    class Limits(BaseModel):
        name: str
        database: Database
        max_connections: int = 10

        @computed_field
        def url(self) -> str:
            return f"{self.name}:{self.database.port}"

    return Limits


def make_plain():
    @cloud_config("testjson.json")
    class Limits:
        name: str
        database: Database
        max_connections: int = 10

        def url(self):
            return f"{self.name}:{self.database.port}"

    return Limits


@pytest.fixture(params=[make_dataclass, make_model, make_plain])
def limits_type(request):
    return request.param()


def save(configuration, text):
    configuration.save_document(text, group="testjson.json")


def test_an_instance_reads_the_newest_values(configuration, limits_type):
    save(configuration, TEXT)
    limits = limits_type()
    before = (limits.name, limits.max_connections, limits.database)
    save(configuration, CHANGED)

    assert ("a", 5, Database(5432, ["x"])) == before
    assert ("b", 6, Database(1)) == (limits.name, limits.max_connections, limits.database)


def test_every_instance_follows(configuration, limits_type):
    save(configuration, TEXT)
    instances = [limits_type() for _ in range(3)]
    save(configuration, CHANGED)

    assert ["b"] * 3 == [each.name for each in instances]


def test_a_missing_field_has_its_default(configuration, limits_type):
    save(configuration, '{"name": "a", "database": {"port": 1}}')

    assert 10 == limits_type().max_connections


def test_a_field_that_goes_away_has_its_default_again(configuration, limits_type):
    save(configuration, TEXT)
    limits = limits_type()
    save(configuration, '{"name": "a", "database": {"port": 1}}')

    assert 10 == limits.max_connections


def test_values_that_do_not_fit_at_first_are_an_error(configuration, limits_type):
    save(configuration, '{"name": "a", "database": {"port": "s3cret"}}')
    with pytest.raises(
        InvalidArgumentError, match=r"Limits from cloud_config\('testjson.json'\): database.port"
    ) as caught:
        limits_type()

    assert "s3cret" not in str(caught.value)


def test_values_that_do_not_fit_later_keep_those_before_and_are_logged(configuration, limits_type):
    save(configuration, TEXT)
    limits = limits_type()
    with structlog.testing.capture_logs() as logs:
        save(configuration, '{"name": "b", "database": {}}')

    assert "a" == limits.name
    assert ["error"] == [entry["log_level"] for entry in logs]


def test_methods_see_the_newest_values(configuration):
    save(configuration, TEXT)
    limits = make_dataclass()()
    save(configuration, CHANGED)

    assert "b:1" == limits.url()


def test_an_instance_is_what_its_class_says(configuration):
    save(configuration, TEXT)
    by_dataclass, by_model = make_dataclass()(), make_model()()

    assert {"name": "a", "database": {"port": 5432, "hosts": ["x"]}, "max_connections": 5} == asdict(
        by_dataclass
    )
    assert {**asdict(by_dataclass), "url": "a:5432"} == by_model.model_dump()
    assert repr(by_dataclass).endswith("max_connections=5)")


def test_a_class_that_is_given_arguments_is_ordinary(configuration):
    save(configuration, TEXT)
    ordinary = make_dataclass()("own", Database(1), max_connections=2)
    save(configuration, CHANGED)

    assert ("own", 2) == (ordinary.name, ordinary.max_connections)


def test_the_class_itself_is_left_as_it_was(runtime):
    limits_type = make_dataclass()

    assert "Limits" == limits_type.__name__
    assert ["name", "database", "max_connections"] == list(inspect.signature(limits_type).parameters)


def test_a_frozen_dataclass_is_live_too(configuration):
    @cloud_config("testjson.json")
    @dataclass(frozen=True)
    class Limits:
        name: str = ""

    limits = Limits()
    save(configuration, CHANGED)

    assert "b" == limits.name
    with pytest.raises(AttributeError):
        limits.name = "x"


def test_a_plain_class_can_be_read_without_an_instance(configuration):
    save(configuration, TEXT)
    limits_type = make_plain()
    before = limits_type.name
    save(configuration, CHANGED)

    assert ("a", "b") == (before, limits_type.name)


def test_slots_are_refused_at_decoration(runtime):
    with pytest.raises(InvalidArgumentError, match="__slots__"):

        @cloud_config("testjson.json")
        @dataclass(slots=True)
        class Limits:
            name: str = ""


def test_an_attribute_is_the_newest_object_whole(configuration):
    class Service:
        database: Database = cloud_config("testjson.json", prefix="database")

    save(configuration, TEXT)
    before = Service().database
    save(configuration, CHANGED)

    assert (Database(5432, ["x"]), Database(1)) == (before, Service().database)


def test_an_attribute_without_annotation_is_nested_data(configuration):
    class Service:
        limits = cloud_config("testjson.json")

    save(configuration, CHANGED)

    assert {"name": "b", "maxConnections": 6, "database": {"port": 1}} == Service.limits


def test_a_prefix_of_properties_is_bound(configuration):
    configuration.save({"shop.db.port": "1", "shop.db.hosts[1]": "b", "shop.db.hosts[0]": "a", "port": "9"})
    database = cloud_config("application", Database, prefix="shop.db")

    assert Database(1, ["a", "b"]) == database.get()


@pytest.mark.parametrize("key", ["maxConnections", "max-connections", "max_connections", "MAX_CONNECTIONS"])
def test_keys_may_be_spelled_as_in_spring(configuration, key):
    save(configuration, f'{{"items": [{{"{key}": 3}}], "by_name": {{"a": {{"{key}": 4}}}}}}')

    @dataclass
    class Item:
        max_connections: int

    class Limits(BaseModel):
        items: list[Item]
        by_name: dict[str, Item]
        other: Item | None = None

    limits = cloud_config("testjson.json", Limits).get()
    assert (3, 4) == (limits.items[0].max_connections, limits.by_name["a"].max_connections)


def test_an_alias_is_respected(configuration):
    class Limits(BaseModel):
        connections: int = Field(alias="max-conn")

    save(configuration, '{"max-conn": 3}')

    assert 3 == cloud_config("testjson.json", Limits).get().connections


@pytest.mark.parametrize("suffix", ["yaml", "toml"])
def test_other_formats_are_read_too(configuration, suffix):
    text = {"yaml": "port: 1\nhosts: [a]", "toml": 'port = 1\nhosts = ["a"]'}[suffix]
    configuration.save_document(text, group=f"database.{suffix}")

    assert Database(1, ["a"]) == cloud_config(f"database.{suffix}", Database).get()


def test_application_and_cluster_choose_the_namespace(configuration):
    configuration.save({"port": "1"}, application="shop", label="blue", group="db")
    configuration.save({"port": "2"}, application="shop", group="db")

    assert 1 == cloud_config("db", Database, app_id="shop", cluster="blue").get().port
    assert 2 == cloud_config("db", Database, app_id="shop", cluster="green").get().port


def test_the_adapters_settings_name_the_application(tmp_path):
    settings = {"adapters": {"apollo": {"app_id": "shop", "cluster": "blue", "component": "central"}}}
    settings["configuration"] = {"central": {"driver": "memory"}}
    with Runtime.in_memory(settings) as runtime, use_runtime(runtime):
        runtime.configuration("central").save({"port": "1"}, application="shop", label="blue", group="db")

        assert 1 == cloud_config("db", Database).get().port


def test_an_instance_belongs_to_the_runtime_in_which_it_was_made(configuration):
    save(configuration, TEXT)
    limits_type = make_dataclass()
    first = limits_type()
    with Runtime.in_memory() as other, use_runtime(other):
        save(other.configuration(), CHANGED)
        second = limits_type()

    assert ("a", "b") == (first.name, second.name)


def test_two_fields_of_one_read_belong_together(configuration):
    class Service:
        pair: dict[str, int] = cloud_config("pair.json")

    configuration.save_document('{"a": 0, "b": 0}', group="pair.json")
    torn, done = [], threading.Event()

    def read():
        while not done.is_set():
            pair = Service.pair
            if pair["a"] != pair["b"]:
                torn.append(pair)

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(200):
        configuration.save_document(f'{{"a": {number}, "b": {number}}}', group="pair.json")
    done.set()
    thread.join()

    assert [] == torn
