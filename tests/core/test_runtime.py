"""Components by logical name: built on first use, shared, replaced in tests, closed in order, safe across fork."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from capa_core import Runtime, Service, default_runtime, use_runtime
from capa_core.errors import (
    ClosedError,
    InvalidArgumentError,
    SettingsError,
    UnknownNameError,
    UnsupportedError,
)
from capa_core.runtime import pin_runtime


@pytest.fixture
def runtime():
    with Runtime.in_memory() as runtime:
        yield runtime


def test_one_name_is_one_object(runtime):
    assert runtime.state("a") is runtime.state("a")


def test_names_without_a_table_share_the_default_component(runtime):
    assert runtime.state("a") is runtime.state("b")


def test_an_unknown_block_is_refused(runtime):
    with pytest.raises(InvalidArgumentError, match="no block 'stat'"):
        runtime.component("stat", "default")


def test_after_close_nothing_opens(runtime):
    runtime.close()

    with pytest.raises(ClosedError, match="state 'default'"):
        runtime.state()


def test_components_close_in_order_and_all_of_them(runtime, mocker):
    closed = []
    for block in ("state", "pubsub", "secrets", "invocation"):
        portable = runtime.component(block, "x")
        mocker.patch.object(portable, "close", side_effect=lambda block=block: closed.append(block))
    runtime.close()

    assert ["invocation", "pubsub", "state", "secrets"] == closed


def test_a_component_that_fails_to_close_does_not_keep_the_others_open(runtime, mocker):
    mocker.patch.object(runtime.pubsub(), "close", side_effect=RuntimeError("stuck"))
    state = mocker.patch.object(runtime.state(), "close")

    with pytest.raises(ExceptionGroup, match="closing the runtime"):
        runtime.close()
    state.assert_called_once()


def test_the_default_runtime_is_one_and_can_be_replaced(runtime):
    before = default_runtime()
    with use_runtime(runtime):
        assert runtime is default_runtime()

    assert before is default_runtime()


def test_a_pinned_thread_keeps_its_runtime_when_another_thread_replaces_it(runtime):
    replaced = use_runtime(Runtime.in_memory())
    with ThreadPoolExecutor(1) as other, pin_runtime(runtime):
        later = other.submit(replaced.__enter__).result()
        seen = (default_runtime(), other.submit(default_runtime).result())
        other.submit(replaced.__exit__, None, None, None).result()

    assert (runtime, later) == seen


def test_a_pinned_thread_can_replace_its_own_runtime(runtime):
    with pin_runtime(runtime):
        with use_runtime(Runtime.in_memory()) as inside:
            assert inside is default_runtime()

        assert runtime is default_runtime()


def test_a_hosted_service_answers_by_name(runtime):
    service = Service("greeter")
    service.register("hello", lambda call: f"hello {call.data.decode()}")
    runtime.host(service, name="greeter")

    assert ("greeter", "/hello") == runtime.service_for("greeter", 80, "/hello")
    assert b"hello you" == runtime.invocation("greeter").invoke("hello", "you").body


def test_an_unknown_host_is_not_a_service(runtime):
    assert runtime.service_for("example.org", 443, "/") is None


@pytest.mark.parametrize(
    "spelling",
    [
        "redis://:pw@Redis.Internal/",
        "redis://redis.internal:6379/0",
        "redis://redis.internal",
        "redis://redis.internal.:6379",
    ],
)
def test_spellings_of_a_legacy_address_mean_the_same_name(spelling):
    runtime = Runtime.in_memory(
        {"state": {"cache": {"driver": "memory", "legacy": ["redis://redis.internal:6379/0"]}}}
    )

    assert "cache" == runtime.logical_name("state", spelling)
    assert runtime.logical_name("state", "redis://redis.internal/1") is None


def test_an_address_may_be_a_logical_name():
    runtime = Runtime.in_memory({"state": {"cache": {"driver": "memory", "legacy": ["redis://a"]}}})

    assert "cache" == runtime.logical_name("state", "capa://cache")
    assert "other" == runtime.logical_name("state", "capa://other/")
    assert runtime.logical_name("state", "capa://") is None


def test_the_runtime_returns_the_legacy_addresses_of_a_name():
    table = {"driver": "memory"}
    runtime = Runtime.in_memory({"state": {"default": table, "cache": {**table, "legacy": ["redis://a"]}}})

    assert ("redis://a",) == runtime.legacy_addresses("state", "cache")
    assert () == runtime.legacy_addresses("state", "other")
    assert () == Runtime.in_memory().legacy_addresses("state", "cache")


def test_two_names_may_not_claim_one_legacy_address():
    table = {"driver": "memory", "legacy": ["redis://a/0"]}

    with pytest.raises(SettingsError, match="already stands for state 'one'"):
        Runtime.in_memory({"state": {"one": table, "two": table}}).logical_name("state", "redis://a")


def test_present_required_abilities_pass(runtime):
    runtime.require({"state": ["ttl", "transaction"]})

    assert runtime.state().features


def test_a_missing_required_ability_is_named_with_the_alternatives(runtime):
    with pytest.raises(UnsupportedError, match=r"state: durable .*drivers that have it: .*sqlite"):
        runtime.require({"state": ["durable"]})


def test_requiring_an_unknown_ability_names_the_nearest(runtime):
    with pytest.raises(UnknownNameError, match="no ability 'tttl'. Did you mean 'ttl'?"):
        runtime.require({"state": ["tttl"]})


def test_a_child_of_a_fork_uses_components_of_its_parent(runtime):
    runtime.state().put("k", b"parent")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            runtime.state().put("child", b"1")
            os.write(write, runtime.state().get("k") or b"nothing")
        finally:
            os._exit(0)
    os.waitpid(child, 0)

    assert b"parent" == os.read(read, 100)


def test_with_no_file_at_all_every_block_is_served_in_a_bare_folder(tmp_path):
    program = (
        "import capa_core; rt = capa_core.default_runtime()\n"
        "rt.state('a').put('k', b'v'); assert rt.state('a').get('k') == b'v'\n"
        "for row in rt.report(): print(row.block, row.driver, row.origin, row.answer(rt)[0])\n"
        "rt.close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )

    assert "" == done.stderr
    assert {"embedded default True"} == {line.split(maxsplit=2)[2] for line in done.stdout.splitlines()}
    assert {"capa"} <= {path.name.strip(".") for path in tmp_path.iterdir()}


def test_a_report_loads_no_settings_where_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "capa_core.runtime._settings.load", lambda *_, **__: pytest.fail("settings were loaded")
    )
    with Runtime(start=tmp_path, environ={}) as runtime:
        rows = runtime.report()

    assert {("default", "embedded default")} == {(row.name, row.origin) for row in rows}


def test_a_profile_without_a_file_is_an_error_of_the_report_too(tmp_path):
    with (
        Runtime(start=tmp_path, environ={}, profile="prod") as runtime,
        pytest.raises(SettingsError, match="'prod'"),
    ):
        runtime.report()


@pytest.mark.parametrize("block", ["pubsub", "lock", "state", "configuration", "secrets", "invocation"])
def test_every_portable_type_has_the_same_life_cycle(runtime, block):
    portable = runtime.component(block, "x")
    portable.forget()
    features = portable.features
    with portable:
        pass
    portable.close()

    assert features == portable.features
    with pytest.raises(ClosedError, match=f"{block} 'default'|{block} 'x'"):
        portable.ping()


def test_files_of_capa_stay_out_of_version_control(tmp_path):
    with Runtime(start=tmp_path, environ={}) as runtime:
        runtime.state().put("k", b"v")

    assert "*\n" == (tmp_path / ".capa" / ".gitignore").read_text()
    assert (tmp_path / ".capa" / "state.db").is_file()
