"""`capa doctor`: the component behind each block, its setting, and whether it answers."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing

import pytest

import capa_requests
from capa_core import Runtime, use_runtime
from capa_core.errors import SettingsError
from capa_core.shims.settings import check_adapter
from capa_migration.cli import main


@pytest.fixture
def doctor(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAPA_PROFILE", raising=False)

    def run(*words: str, settings: str = "") -> tuple[int, str, str]:
        if settings:
            (tmp_path / "capa.toml").write_text(settings)
        code = main(["doctor", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_without_settings_the_embedded_default_answers(doctor):
    code, out, _ = doctor()

    assert 0 == code
    assert "no capa.toml here or above: the embedded default serves everything" in out
    (line,) = [line for line in out.splitlines() if re.match(r"state .*embedded default", line)]
    assert ["state", "default", "sqlite", "embedded", "default", "yes"] == line.split()[:6]


def test_setting_that_chose_a_driver_is_named(doctor, tmp_path):
    _, out, _ = doctor("--json", settings='[state.orders]\ndriver = "memory"\n')

    (row,) = [row for row in json.loads(out)["components"] if row["block"] == "state"]
    assert ("orders", "memory", True) == (row["name"], row["driver"], row["answers"])
    assert f"{tmp_path}/capa.toml: state.orders.driver" == row["origin"]


def test_component_that_does_not_answer_exits_with_2_and_is_named(doctor):
    code, out, _ = doctor(settings='[state.cache]\ndriver = "redis"\nurl = "redis://127.0.0.1:1/0"\n')

    assert 2 == code
    assert "Next: start the engine of each component that does not answer (state cache)" in out


def test_a_file_of_another_program_in_the_place_of_capas_does_not_answer(doctor, tmp_path):
    (tmp_path / ".capa").mkdir()
    with closing(sqlite3.connect(tmp_path / ".capa" / "pubsub.db")) as connection:
        connection.execute("CREATE TABLE message (x)")

    code, out, _ = doctor()

    (line,) = [line for line in out.splitlines() if line.startswith("pubsub ") and " NO " in line]
    assert (2, True) == (code, ".capa/pubsub.db is of another program" in line)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            '[pubsub]\na = {driver = "memory", legacy = ["redis://x:6379/0"]}\nb = {driver = "memory", legacy = ["redis://x/0"]}',
            "capa.toml: pubsub.b.legacy: redis://x:6379 already stands for pubsub 'a'",
        ),
        (
            '[invocation]\na = {legacy = ["http://x/y"]}\nb = {legacy = ["x:80/y/"]}',
            "capa.toml: invocation.b.legacy: x:80/y already stands for invocation 'a'",
        ),
        ('[requires]\nstaet = ["etag"]\n', "requires: no block 'staet'. Did you mean 'state'?"),
        ('[requires]\nstate = ["etagg"]\n', "requires.state: no ability 'etagg'. Did you mean 'etag'?"),
        ("[configuration.default]\n", "application.json:1: Expecting property name"),
    ],
    ids=["address", "place", "block", "ability", "configuration"],
)
def test_an_error_that_programs_get_later_exits_with_2_and_is_printed(doctor, tmp_path, settings, message):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "application.json").write_text("{" if "configuration" in settings else "{}")
    code, out, _ = doctor(settings=settings)

    (line,) = [line for line in out.splitlines() if line.startswith("ERROR that programs get: ")]
    assert (2, True) == (code, message in line), line


def test_profile_can_be_chosen(doctor):
    settings = '[state.a]\ndriver = "memory"\n[profiles.local.state.a]\ndriver = "sqlite"\n'

    _, out, _ = doctor("--json", "--profile", "local", settings=settings)

    assert ["sqlite"] == [row["driver"] for row in json.loads(out)["components"] if row["block"] == "state"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("[state.a\n", "capa.toml"),
        ('[statee.a]\ndriver = "memory"\n', "Did you mean"),
        ("profile = 'none'\n", "none"),
    ],
)
def test_wrong_setting_exits_with_3_and_is_named(doctor, settings, message):
    code, _, err = doctor(settings=settings)

    assert 3 == code
    assert message in err


def test_originals_and_their_supported_versions_are_shown(doctor):
    _, out, _ = doctor("--json")

    (row,) = [row for row in json.loads(out)["adapters"] if row["sdk"] == "requests"]
    assert ("capa_requests", ">=2.25,<3") == (row["adapter"], row["supported"])
    assert row["installed"].startswith("requests 2.")


def test_paths_are_relative_to_here_where_that_is_shorter(doctor, tmp_path, monkeypatch):
    doctor(settings='[state.orders]\ndriver = "sqlite"\n')
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")

    main(["doctor"])
    _, out, _ = doctor()

    assert "settings: ../capa.toml\n" in out
    assert "  ../capa.toml: state.orders.driver  " in out
    assert " at ../.capa/pubsub.db\n" in out
    assert str(tmp_path) not in out


def test_the_side_of_each_adapter_is_shown_with_its_setting(doctor):
    code, out, _ = doctor("--json", settings='[adapters.requests]\nside = "legacy"\n')

    sides = {row["sdk"]: row["side"] for row in json.loads(out)["adapters"]}
    assert (0, "legacy", "capa") == (code, sides["requests"], sides["celery"])


@pytest.mark.parametrize(("adapter", "side"), [("celery", "canary"), ("apollo", "legacy")])
def test_a_side_that_an_adapter_lacks_exits_with_2_and_is_named(doctor, adapter, side):
    code, out, _ = doctor(settings=f'[adapters.{adapter}]\nside = "{side}"\n')

    (line,) = [line for line in out.splitlines() if line.startswith(f"capa_{adapter} ")]
    assert 2 == code
    assert f"{side}: NOT AVAILABLE" in line
    assert f"capa.toml: adapters.{adapter}.side" in line
    assert f"\ncapa.toml: adapters.{adapter}.side: side '{side}' " in out


@pytest.mark.parametrize(
    ("adapter", "line"),
    [
        ("requests", 'sied = "legacy"'),
        ("requests", "timeout_s = -1"),
        ("requests", 'side = "lgcy"'),
        ("celery", "lease_s = 0"),
        ("apollo", "app_id = 3"),
    ],
)
def test_wrong_settings_of_an_adapter_exit_with_3_and_the_error_of_its_calls(doctor, tmp_path, adapter, line):
    settings = f"[profiles.typo.adapters.{adapter}]\n{line}\n"

    code, out, err = doctor("--profile", "typo", settings=settings)

    with pytest.raises(SettingsError) as raised, Runtime(start=tmp_path, profile="typo") as runtime:
        check_adapter(runtime, f"capa_{adapter}")
    assert (3, "", f"capa doctor: {raised.value}\n") == (code, out, err)
    assert f"capa.toml: profiles.typo.adapters.{adapter}.{line.split()[0]}" in err


def test_a_request_raises_the_error_that_the_doctor_prints(doctor, tmp_path):
    _, _, err = doctor(settings='[adapters.requests]\nsied = "legacy"\n')

    with Runtime(start=tmp_path) as runtime, use_runtime(runtime), pytest.raises(SettingsError) as raised:
        capa_requests.get("http://127.0.0.1:1")
    assert f"capa doctor: {raised.value}\n" == err


def test_a_side_that_is_not_set_has_the_origin_default(doctor, tmp_path):
    settings = "[adapters.requests]\ntimeout_s = 3\n[profiles.prod.adapters.celery]\nside = 'legacy'\n"

    _, out, _ = doctor("--json", "--profile", "prod", settings=settings)

    origins = {row["sdk"]: row["origin"] for row in json.loads(out)["adapters"]}
    celery = f"{tmp_path}/capa.toml: profiles.prod.adapters.celery.side"
    assert {"apollo": "default", "celery": celery, "requests": "default"} == {
        sdk: origins[sdk] for sdk in ("apollo", "celery", "requests")
    }


def test_native_clients_limits_and_holdings_are_shown(doctor, tmp_path):
    with Runtime(start=tmp_path) as runtime:
        runtime.state().put("k", b"v")
        runtime.lock().try_lock("nightly", "me", lease=600)
    _, out, _ = doctor("--json")
    found = {row["block"]: row for row in json.loads(out)["components"]}
    _, text, _ = doctor()

    assert ("1 key", "1 held") == (found["state"]["holds"], found["lock"]["holds"])
    assert ["sqlite3.Connection"] == found["state"]["native"]
    assert (512, 999_995_904) == (
        found["state"]["limits"]["max_key_length"],
        found["state"]["limits"]["max_value_bytes"],
    )
    (line,) = [line for line in text.splitlines() if re.match(r"state .*max_key", line)]
    shown = ["1 key", "sqlite3.Connection", "max_key_length 512, max_value_bytes 999,995,904"]
    assert shown == re.split(r"  +", line)[2:]


def test_queues_are_listed_with_the_option(doctor, tmp_path):
    with Runtime(start=tmp_path) as runtime:
        runtime.pubsub().consumer("orders", "billing", raw=True)
        runtime.pubsub().publish("orders", b"x", raw=True)
    _, without, _ = doctor()
    code, text, _ = doctor("--queues")
    _, data, _ = doctor("--queues", "--json")

    assert "billing" not in without
    assert 0 == code
    (line,) = [line for line in text.splitlines() if line.startswith("orders")]
    assert ["orders", "billing", "1", "0", "s", "-", "0"] == [*line.split()[:4], *line.split()[5:]]
    (survey,) = json.loads(data)["queues"]
    assert ("default", ["orders"]) == (survey["component"], [topic["name"] for topic in survey["topics"]])


def test_an_engine_that_does_not_answer_has_no_holdings_and_no_queues(doctor):
    settings = '[pubsub.default]\ndriver = "redis"\nurl = "redis://127.0.0.1:1/0"\nretries = 0\n'
    code, out, _ = doctor("--queues", "--json", settings=settings)
    found = json.loads(out)

    assert (2, []) == (code, found["queues"])
    assert ["limits" in row for row in found["components"] if row["block"] == "pubsub"] == [False]


ON_REDIS = '[{section}pubsub.default]\ndriver = "redis"\nurl = "redis://:pw@127.0.0.1:1/0"\nretries = 0\n'


def scattered(out: str) -> list[tuple[str, str]]:
    """Return block and driver of what the JSON of the doctor says is scattered."""
    (celery,) = [row for row in json.loads(out)["adapters"] if row["sdk"] == "celery"]
    return [(one["block"], one["driver"]) for one in celery["scattered"]]


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ("", [("state", ""), ("lock", "")]),
        ("[lock.default]\n", [("state", ""), ("lock", "sqlite")]),
        ('[lock.celery]\ndriver = "memory"\n[state.default]\n', [("state", "sqlite"), ("lock", "memory")]),
        ('[lock.other]\ndriver = "redis"\n[state.default]\ndriver = "redis"\n', [("lock", "")]),
        ('[state.default]\ndriver = "redis"\n[lock.default]\ndriver = "redis"\n', []),
        ('[state.a]\ndriver = "redis"\nlegacy = ["redis://a"]\n[lock.default]\ndriver = "redis"\n', []),
        ('[adapters.celery]\nside = "legacy"\n', []),
    ],
)
def test_what_machines_share_and_each_has_its_own_is_named_and_exits_with_2(doctor, tables, expected):
    code, out, _ = doctor("--json", settings=ON_REDIS.format(section="") + tables)

    assert 2 == code
    assert expected == scattered(out)


def test_everything_on_each_machine_is_not_scattered(doctor):
    code, out, _ = doctor("--json", settings='[state.default]\ndriver = "memory"\n[lock.default]\n')

    assert (0, []) == (code, scattered(out))


@pytest.mark.server("redis")
def test_a_forgotten_lock_alone_exits_with_2_and_the_lines_that_mend_it(doctor, tmp_path, redis_url):
    tables = "".join(
        f'[profiles.prod.{block}.default]\ndriver = "redis"\nurl = "{redis_url}"\n'
        for block in ("pubsub", "state")
    )
    code, out, _ = doctor("--profile", "prod", settings=tables)
    lines = f'[profiles.prod.lock.default]\ndriver = "redis"\nurl = "{redis_url}"\n'

    assert 2 == code
    assert (
        "lock 'celery' has no engine, while tasks (pubsub) are on a server. All machines must share the lock of"
        f" beat. Add to capa.toml:\n\n{lines}"
    ) in out
    assert (
        "without an engine: configuration, database, files, invocation, lock, log, schedule, secrets, sequencer,"
        " telemetry." in out
    )
    assert 0 == doctor("--profile", "prod", settings=tables + lines)[0]


def test_the_lines_name_an_engine_where_the_server_of_the_tasks_cannot_serve(doctor):
    settings = (
        '[pubsub.default]\ndriver = "rabbitmq"\nurl = "amqp://127.0.0.1:1//"\nretries = 0\ndeadline_s = 2\n'
    )

    _, out, _ = doctor(settings=settings)

    assert (
        'Add to capa.toml:\n\n[lock.default]\ndriver = "redis"  # or nats, postgres, zookeeper; with its address\n'
        in out
    )


@pytest.mark.parametrize(
    ("own", "verb", "header"),
    [
        ("[profiles.prod.lock.default]\n", "Change in", "[profiles.prod.lock.default]"),
        ("[profiles.prod.lock.celery]\n", "Change in", "[profiles.prod.lock.celery]"),
        ("[profiles.prod.lock.a]\n", "Add to", "[profiles.prod.lock.celery]"),
    ],
)
def test_the_lines_name_the_table_to_change_without_the_password(doctor, own, verb, header):
    _, out, _ = doctor("--profile", "prod", settings=ON_REDIS.format(section="profiles.prod.") + own)

    assert (
        f'{verb} capa.toml:\n\n{header}\ndriver = "redis"\nurl = "redis://127.0.0.1:1/0"'
        "  # and the login of [pubsub.default]"
    ) in out
    assert "pw" not in out


@pytest.mark.parametrize(
    ("lines", "place", "nearest"),
    [
        ('pubsub.default]\ndriver = "redis"\nurll = "redis://h/0"', "pubsub.default.urll", "'url'"),
        ('state.cache]\ndriver = "sqlite"\nretrys = 2', "state.cache.retrys", "'retries'"),
        ('state.cache]\ndriver = "sqlit"', "state.cache.driver", "'sqlite'"),
        (
            'state.cache]\ndriver = "sqlite"\nretries = -1',
            "state.cache.retries",
            "greater than or equal to 0",
        ),
        ("adapters.celery]\nlease = 3", "adapters.celery.lease", "'lease_s'"),
    ],
)
def test_wrong_keys_of_tables_in_profiles_that_are_not_chosen_are_found(doctor, lines, place, nearest):
    settings = f'[pubsub.default]\ndriver = "memory"\n[profiles.prod.{lines}\n'

    code, out, _ = doctor("--json", settings=settings)
    (problem,) = json.loads(out)["problems"]

    assert 2 == code
    assert f"/capa.toml: profiles.prod.{place}: " in problem
    assert nearest in problem


def test_a_profile_that_is_not_chosen_may_name_what_only_its_machines_have(doctor):
    settings = (
        '[profiles.prod.pubsub.default]\ndriver = "redis"\nurl = "${env:ONLY_THERE}"\n'
        '[profiles.prod.secrets.default]\ndriver = "file"\nroot = "/only/there"\n'
        '[profiles.prod.state.default]\ndriver = "redis"\nurl = "${secret:redis/url}"\n'
    )

    code, out, _ = doctor("--json", settings=settings)

    assert (0, []) == (code, json.loads(out)["problems"])


def test_a_look_leaves_no_trace(doctor, tmp_path):
    code, out, _ = doctor("--queues", "--json")
    again, _, _ = doctor("--queues")

    assert (0, 0) == (code, again)
    assert {"0 keys", "0 held"} <= {row.get("holds") for row in json.loads(out)["components"]}
    assert [] == list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_found(doctor, tmp_path):
    (tmp_path / ".capa").write_text("not a folder")

    code, out, _ = doctor("--json")
    silent = {row["block"] for row in json.loads(out)["components"] if not row["answers"]}

    assert (2, True) == (code, {"state", "pubsub", "lock", "log"} <= silent)


def test_wrong_names_in_profiles_that_are_not_chosen_are_found(doctor):
    settings = '[profiles.prod.pubsup.default]\ndriver = "redis"\n[profiles.dev]\nprofile = "prod"\n'

    code, out, _ = doctor("--json", settings=settings)
    misspelt, nested = json.loads(out)["problems"]

    assert 2 == code
    assert "/capa.toml: profiles.prod: unknown key 'pubsup'. Did you mean 'pubsub'?" in misspelt
    assert "/capa.toml: profiles.dev.profile: a profile cannot choose another." in nested
