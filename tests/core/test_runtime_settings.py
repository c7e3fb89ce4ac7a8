"""Settings from capa.toml, profiles, the environment and code: precedence, origins and refusals."""

from pathlib import Path

import pytest

from capa_core import Runtime
from capa_core.block import blocks
from capa_core.errors import MissingExtraError, SettingsError, UnknownNameError
from capa_core.runtime._registry import driver_type, drivers

FILE = """
profile = "dev"

[invocation.orders]
driver = "http"
url = "http://base:1"
legacy = ["http://orders.internal:8080"]

[profiles.dev]

[profiles.prod.invocation.orders]
url = "http://prod:2"

[profiles.test.invocation.orders]
driver = "memory"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "capa.toml").write_text(FILE)
    return tmp_path


def url(runtime: Runtime) -> str:
    return runtime.loaded.tables("invocation")["orders"].driver_settings()["url"]


def test_the_file_is_found_in_a_folder_above(folder):
    below = folder / "a" / "b"
    below.mkdir(parents=True)

    assert "http://base:1" == url(Runtime(start=below, environ={}))


def test_a_relative_folder_is_beside_the_file_and_not_where_the_program_runs(tmp_path, monkeypatch):
    (tmp_path / "capa.toml").write_text('[state.default]\ndriver = "sqlite"\nfolder = "data"\n')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with Runtime(environ={}) as runtime:
        runtime.state().put("k", b"v")

    assert (tmp_path / "data" / "state.db").exists()
    assert [] == list((tmp_path / "elsewhere").iterdir())


def test_a_profile_wins_over_the_base(folder):
    assert "http://prod:2" == url(Runtime(start=folder, profile="prod", environ={}))


def test_capa_profile_wins_over_the_files_own(folder):
    assert "http://prod:2" == url(Runtime(start=folder, environ={"CAPA_PROFILE": "prod"}))


def test_the_environment_wins_over_the_profile(folder):
    environ = {"CAPA_PROFILE": "prod", "CAPA_INVOCATION__ORDERS__URL": "http://env:3"}

    assert "http://env:3" == url(Runtime(start=folder, environ=environ))


def test_code_wins_over_the_environment(folder):
    environ = {"CAPA_INVOCATION__ORDERS__URL": "http://env:3"}
    code = {"invocation": {"orders": {"url": "http://code:4"}}}

    assert "http://code:4" == url(Runtime(code, start=folder, environ=environ))


def test_each_value_knows_its_origin(folder):
    environ = {"CAPA_PROFILE": "prod", "CAPA_INVOCATION__ORDERS__EJECT_S": "1"}
    loaded = Runtime(start=folder, environ=environ).loaded

    assert f"{folder}/capa.toml: invocation.orders.driver" == loaded.origin("invocation", "orders", "driver")
    assert f"{folder}/capa.toml: profiles.prod.invocation.orders.url" == loaded.origin(
        "invocation", "orders", "url"
    )
    assert "environment: CAPA_INVOCATION__ORDERS__EJECT_S" == loaded.origin("invocation", "orders", "eject_s")


def test_naming_another_driver_drops_the_settings_of_the_first_but_not_the_legacy_addresses(folder):
    runtime = Runtime(start=folder, profile="test", environ={})

    assert {} == runtime.loaded.tables("invocation")["orders"].driver_settings()
    assert ("orders", "/") == runtime.service_for("orders.internal", 8080, "/")


def test_a_dash_in_a_name_is_an_underscore_in_the_environment(tmp_path):
    (tmp_path / "capa.toml").write_text('[invocation.big-shop]\ndriver = "http"\nurl = "http://a"\n')
    runtime = Runtime(start=tmp_path, environ={"CAPA_INVOCATION__BIG_SHOP__URL": "http://b"})

    assert "http://b" == runtime.loaded.tables("invocation")["big-shop"].driver_settings()["url"]


def test_references_are_filled_from_the_environment(folder):
    code = {"invocation": {"orders": {"url": "${env:ORDERS}/v1"}}}
    runtime = Runtime(code, start=folder, environ={"ORDERS": "http://127.0.0.1:9"})

    assert ("http://127.0.0.1:9/v1",) == runtime.invocation("orders")._driver.settings.url


@pytest.mark.parametrize(
    ("tree", "kind", "message"),
    [
        ({"stat": {}}, UnknownNameError, "code: unknown key 'stat'. Did you mean 'state'?"),
        (
            {"invocation": {"o": {"driver": "htp"}}},
            UnknownNameError,
            "invocation.o.driver: no driver 'htp'.*'http'",
        ),
        (
            {"invocation": {"o": {"urls": "x"}}},
            UnknownNameError,
            "invocation.o.urls: unknown key 'urls'.*'url'",
        ),
        ({"invocation": {"o": {"url": "x"}}}, SettingsError, "invocation.o: 'x' is not an HTTP address"),
        ({"invocation": {"o": {"retries": "x"}}}, SettingsError, "invocation.o.retries: must be"),
        ({"invocation": {"o": {"eject_s": "x"}}}, SettingsError, "invocation.o.eject_s: must be"),
        ({"invocation": {"p": {}}}, UnknownNameError, r"no \[invocation.o\] and no \[invocation.default\]"),
        (
            {"invocation": {"p": {}}},
            UnknownNameError,
            r"default\]. Known: p. Add one of the two tables, or use",
        ),
        ({"invocation": 3}, SettingsError, "invocation must be a table"),
        ({"embedded": False}, UnknownNameError, "nothing serves invocation 'o'"),
    ],
)
def test_a_wrong_setting_names_its_place_and_the_nearest_match(tree, kind, message, tmp_path):
    with pytest.raises(kind, match=message):
        Runtime(tree, start=tmp_path, environ={}).invocation("o")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"embedded": "yes"}, "code: embedded: must be true or false, without quotes"),
        ({"drain_s": float("inf")}, "code: drain_s: must be a finite number"),
        ({"invocation": {"o": {"retries": True}}}, "o.retries: must be a number, not true or false"),
        ({"invocation": {"o": {"pool_size": True}}}, "o.pool_size: must be a number, not true or false"),
        ({"invocation": {"o": {"timeout_s": "${env:T}"}}}, "o.timeout_s: must be a finite number"),
        ({"invocation": {"o": {"legacy": "x"}}}, "o.legacy: must be a list"),
        ({"invocation": {"o": {"eject_s": -1}}}, "o.eject_s: must be greater than or equal to 0"),
    ],
)
def test_a_value_of_another_kind_is_refused_in_a_sentence(tree, message, tmp_path):
    with pytest.raises(SettingsError, match=message):
        Runtime(tree, start=tmp_path, environ={"T": "inf"}).invocation("o")


BOUNDED = [
    pytest.param(block.name, driver, field, id=f"{block.name}-{driver}-{field}")
    for block in blocks().values()
    for driver in drivers(block)
    for field in driver_type(block, driver, "").settings_type.model_fields
    if field.endswith(("_s", "_bytes"))
]


@pytest.mark.parametrize(("block", "driver", "field"), BOUNDED)
def test_no_duration_or_size_of_a_driver_is_negative_0_or_infinite(block, driver, field, tmp_path):
    for value in (-1, float("inf"), *([] if field == "eject_s" else [0])):  # 0 s: no server is passed over
        runtime = Runtime({block: {"a": {"driver": driver, field: value}}}, start=tmp_path, environ={})

        with pytest.raises(SettingsError, match=f"code: {block}.a.{field}: must be "):
            runtime.component(block, "a")


def test_a_missing_default_table_is_named_once(tmp_path):
    runtime = Runtime({"state": {"orders": {"driver": "memory"}}}, start=tmp_path, environ={})

    with pytest.raises(
        UnknownNameError, match=r"no \[state.default\]. Known: orders. Add that table, or use"
    ):
        runtime.state()


def test_variables_have_no_other_form_than_text(tmp_path):
    environ = {"CAPA_EMBEDDED": "yes", "CAPA_DRAIN_S": "3"}
    settings = Runtime(start=tmp_path, environ=environ).loaded.settings

    assert (True, 3) == (settings.embedded, settings.drain_s)


def test_a_malformed_file_names_line_and_column(tmp_path):
    (tmp_path / "capa.toml").write_text("[state.default]\ndriver = \n")

    with pytest.raises(SettingsError, match=r"capa.toml: is not valid TOML: .*line 2"):
        Runtime(start=tmp_path, environ={}).state()


def test_an_unknown_profile_names_the_nearest(folder):
    with pytest.raises(UnknownNameError, match="no profile 'prd'. Did you mean 'prod'?"):
        Runtime(start=folder, profile="prd", environ={}).loaded  # noqa: B018 - reading it loads


def test_a_profile_without_a_file_names_the_searched_folder(tmp_path):
    with pytest.raises(SettingsError, match=f"no capa.toml in {tmp_path}"):
        Runtime(start=tmp_path, profile="prod", environ={}).loaded  # noqa: B018 - reading it loads


def test_a_mistyped_variable_is_refused(folder):
    with pytest.raises(UnknownNameError, match="CAPA_STAT__DEFAULT__DRIVER is not a setting.*'state'"):
        Runtime(start=folder, environ={"CAPA_STAT__DEFAULT__DRIVER": "x"}).loaded  # noqa: B018 - reading it loads


def test_a_wrong_value_is_not_repeated_in_the_message(folder):
    code = {"invocation": {"orders": {"eject_s": "hunter2"}}}

    with pytest.raises(SettingsError) as caught:
        Runtime(code, start=folder, environ={}).invocation("orders")

    assert "hunter2" not in str(caught.value)


def test_a_missing_library_without_an_engine_names_the_library_to_install(mocker, tmp_path):
    from importlib.metadata import EntryPoint

    from capa_core.runtime import _registry

    broken = EntryPoint("kafka", "no_such_library:Driver", "capa.state")
    mocker.patch.object(_registry, "drivers", return_value={"kafka": broken})

    with pytest.raises(
        MissingExtraError, match=r"needs the library 'no_such_library'. Run: pip install no_such_library"
    ):
        Runtime({"state": {"default": {"driver": "kafka"}}}, start=tmp_path, environ={}).state()
