"""No embedded fallback once a profile is chosen or a server is named: the error names block, profile and lines."""

import tomllib

import pytest

from capa_core import Capa, Runtime, Service, aio, use_runtime
from capa_core.block import block_names
from capa_core.components.sqlite.lock import SqliteLock
from capa_core.errors import SettingsError, UnknownNameError
from capa_core.shims import current_runtime

PROD = """
[profiles.prod.pubsub.default]
driver = "redis"
url = "redis://redis.prod:6379/0"
"""


@pytest.fixture
def runtime_of(tmp_path):
    """A function that returns the runtime of a folder with the given capa.toml, or without one."""

    def runtime(text="", **environ):
        if text:
            (tmp_path / "capa.toml").write_text(text)
        return Runtime(start=tmp_path, environ=environ)

    return runtime


def refusal(runtime, block="lock", name="celery"):
    with pytest.raises(UnknownNameError) as caught:
        runtime.component(block, name)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "drain_s = 3\n",
        '[state.default]\ndriver = "sqlite"\n[pubsub.default]\n[configuration.default]\ndriver = "memory"\n',
        '[invocation.catalog]\nurl = "http://catalog:8000"\n',
        PROD,
        f"embedded = true\n{PROD.replace('profiles.prod.', '')}",
        f'profile = "prod"\n{PROD}\n[profiles.prod]\nembedded = true\n',
    ],
    ids=["no file", "no table", "embedded engines", "a service", "a profile not chosen", "base", "profile"],
)
def test_a_block_without_a_table_is_embedded(text, runtime_of):
    assert SqliteLock is type(runtime_of(text).lock()._driver)


@pytest.mark.parametrize("block", sorted(block_names() - {"pubsub"}))
@pytest.mark.parametrize(
    ("text", "environ", "reason"),
    [
        (PROD, {"CAPA_PROFILE": "prod"}, "profile 'prod' is chosen"),
        (f'profile = "prod"\n{PROD}', {}, "profile 'prod' is chosen"),
        ("[profiles.prod]\n", {"CAPA_PROFILE": "prod"}, "profile 'prod' is chosen"),
        ('[pubsub.a]\ndriver = "redis"\n', {}, "capa.toml: pubsub.a.driver names a server"),
        ("", {"CAPA_PUBSUB__A__DRIVER": "redis"}, "environment: CAPA_PUBSUB__A__DRIVER names a server"),
        ("embedded = false\n", {}, "`embedded = false`"),
        ("", {"CAPA_EMBEDDED": "false"}, "`embedded = false`"),
    ],
)
def test_a_block_without_a_table_is_refused(text, environ, reason, block, runtime_of):
    message = refusal(runtime_of(text, **environ), block)

    assert f"nothing serves {block} 'celery'" in message
    assert reason in message


@pytest.mark.parametrize("block", sorted(block_names() - {"pubsub"}))
def test_the_lines_in_the_message_are_those_that_make_it_served(block, runtime_of, tmp_path):
    message = refusal(runtime_of(PROD, CAPA_PROFILE="prod"), block)
    _, lines, _ = message.split("\n\n")
    settings = f"{PROD}\n{lines}\n"

    assert f"Add to {tmp_path}/capa.toml:" in message
    assert {block, "pubsub"} == set(tomllib.loads(settings)["profiles"]["prod"])
    with runtime_of(settings, CAPA_PROFILE="prod") as runtime:
        assert block == runtime.component(block, "celery")._guard.block


def test_the_lines_name_the_server_that_the_file_names_already(runtime_of):
    assert (
        '\n\n[profiles.prod.lock.default]\ndriver = "redis"\nurl = "redis://redis.prod:6379/0"\n\n'
        'Or for one machine alone: with driver = "sqlite" each machine has data of its own.'
    ) in refusal(runtime_of(PROD, CAPA_PROFILE="prod"))


@pytest.mark.parametrize("text", ["[profiles.prod]\n", '[profiles.prod.state.a]\ndriver = "sqlite"\n'])
def test_the_lines_name_a_driver_for_servers_first_where_the_file_names_none(text, runtime_of):
    message = refusal(runtime_of(text, CAPA_PROFILE="prod"))

    assert (
        "\n\n[profiles.prod.lock.default]\n"
        'driver = "redis"  # or nats, postgres, zookeeper; with its address\n\nOr for one' in message
    )


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ("secrets", 'With driver = "file" each machine has data of its own.'),
        ("invocation", 'With driver = "http", each of them is called at http://<its name>.'),
    ],
)
def test_the_last_line_of_a_refusal_is_a_sentence(block, sentence, runtime_of):
    assert sentence == refusal(runtime_of(PROD, CAPA_PROFILE="prod"), block).splitlines()[-1]


@pytest.mark.parametrize(
    ("login", "shown"),
    [
        (":${secret:pw}@", 'url = "redis://:${secret:pw}@redis.prod:6379/0"\n'),
        (":hunter2@", 'url = "redis://redis.prod:6379/0"  # and the login of [pubsub.default]\n'),
        ("${env:USER}:hunter2@", 'url = "redis://redis.prod:6379/0"  # and the login of [pubsub.default]\n'),
    ],
)
def test_the_lines_show_no_password(login, shown, runtime_of):
    message = refusal(runtime_of(PROD.replace("redis.prod", f"{login}redis.prod"), CAPA_PROFILE="prod"))

    assert shown in message
    assert "hunter2" not in message


def test_a_name_of_a_profile_is_quoted_where_toml_needs_it(runtime_of):
    text = PROD.replace("profiles.prod", 'profiles."eu west"')

    assert '[profiles."eu west".lock.default]' in refusal(runtime_of(text, CAPA_PROFILE="eu west"))


def test_settings_in_code_name_a_server_or_a_profile_too(runtime_of, tmp_path):
    runtime_of(PROD)
    server = Runtime({"pubsub": {"default": {"driver": "redis"}}}, file=tmp_path / "capa.toml", environ={})
    profile = Runtime({"profile": "prod"}, start=tmp_path, environ={})

    assert "code: pubsub.default.driver names a server" in refusal(server)
    assert "profile 'prod' is chosen" in refusal(profile)


def test_every_face_of_the_runtime_refuses(runtime_of):
    runtime = runtime_of(PROD, CAPA_PROFILE="prod")

    with use_runtime(runtime):
        for use in (
            lambda: Capa().try_lock("celery", "a", "b", 1),
            lambda: aio.lock("celery"),
            lambda: current_runtime().lock(),
        ):
            with pytest.raises(UnknownNameError, match="nothing serves lock"):
                use()


def test_a_service_in_this_process_needs_no_table(runtime_of):
    runtime = runtime_of(PROD, CAPA_PROFILE="prod")
    service = Service("shop")
    service.register("hello", lambda _call: "hello")
    runtime.host(service, name="shop")

    assert "hello" == runtime.invocation("shop").invoke("hello").body.decode()


def test_a_component_without_its_secrets_is_refused(runtime_of):
    text = PROD.replace("redis.prod", ":${secret:redis-password}@redis.prod")

    message = refusal(runtime_of(text, CAPA_PROFILE="prod"), "pubsub")

    assert "profiles.prod.pubsub.default.url refers to secret 'redis-password'" in message
    assert '[profiles.prod.secrets.default]\ndriver = "file"' in message


def test_a_report_has_no_row_for_a_block_that_nothing_serves(runtime_of):
    assert ["pubsub"] == [row.block for row in runtime_of(PROD, CAPA_PROFILE="prod").report()]


def test_an_unknown_profile_in_code_is_refused(runtime_of, tmp_path):
    runtime_of(PROD)

    with pytest.raises(SettingsError, match="no profile 'prd'"):
        Runtime({"profile": "prd"}, start=tmp_path, environ={}).lock()
