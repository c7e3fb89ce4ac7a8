"""Errors in capa.toml or the environment: one typed error that names the place and the next step."""

import re
import socket
from pathlib import Path

import pytest

from capa_core import Runtime
from capa_core.components.memory.state import MemoryState
from capa_core.errors import PermissionDeniedError, SettingsError, UnavailableError, UnknownNameError

REDIS = '[state.default]\ndriver = "redis"\n'


@pytest.fixture
def opened(tmp_path):
    """A function that opens the state component of a folder with the given capa.toml."""

    def open_state(text, **environ):
        (tmp_path / "capa.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return Runtime(start=tmp_path, environ=environ).state()

    return open_state


@pytest.fixture
def free_port():
    """A port without a listener, reserved until the test ends."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (
            b"[state.default]\ndriver = '\xff'",
            SettingsError,
            "capa.toml: is not valid TOML.*correct the file",
        ),
        ("state = 3", SettingsError, r"state must be a table such as \[state.default\]"),
        (
            '[state]\ndriver = "redis"',
            SettingsError,
            r"capa.toml: state.driver: .*a table.*\[state.default\]",
        ),
        ("profile = 3", SettingsError, 'profile must be a string, such as profile = "dev"'),
        ("profiles = 3", SettingsError, r"profiles must hold tables such as \[profiles.prod"),
        ("[profiles]\nprod = 3", SettingsError, r"profiles must hold tables such as \[profiles.prod"),
        (
            'profile = "prod"\n[profiles.prod]\nprofile = "dev"\n[profiles.dev]',
            SettingsError,
            "capa.toml: profiles.prod.profile: a profile cannot choose another. Remove the key.*CAPA_PROFILE",
        ),
        ("[adapters.request]\n", UnknownNameError, "adapters.request: no adapter 'request'.*'requests'"),
        (REDIS + 'url = "rdis://h"', SettingsError, "state.default.url: .*Write redis://"),
        (REDIS + 'url = "redis://h:port/0"', SettingsError, "state.default.url: .*Write redis://"),
        (REDIS + 'url = "redis://h/orders"', SettingsError, "state.default.url: .*Write redis://"),
        (REDIS + 'url = "redis://h/0?timeot=3"', SettingsError, "state.default.url: .*Write redis://"),
        (
            REDIS + 'url = "redis://:${secret:pw}@h"\n[secrets.default]',
            SettingsError,
            "state.default.url: .*no secret 'pw'. Add it",
        ),
        (
            REDIS + 'url = "redis://:${secret:pw}@h"',
            UnknownNameError,
            r"state.default.url refers to secret 'pw', but .*nothing serves secrets 'default'",
        ),
        (
            REDIS + 'url = "redis://:${env:PW}@h"',
            SettingsError,
            "state.default.url: .*PW is not set. Set it",
        ),
        (
            REDIS + 'url = "redis://:${sercet:pw}@h"',
            UnknownNameError,
            "state.default.url: unknown kind of reference .*'secret'",
        ),
    ],
)
def test_an_error_in_the_file_names_its_place_and_the_next_step(text, kind, message, opened):
    with pytest.raises(kind, match=message):
        opened(text)


@pytest.mark.parametrize("below", ["", "a/b"], ids=["here", "above"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Path.mkdir, "capa.toml: is a folder and not a file of settings. .*remove the folder"),
        (
            lambda path: path.symlink_to("gone.toml"),
            "capa.toml: is a link to gone.toml, which is missing. Bring",
        ),
        (
            lambda path: path.symlink_to(path),
            "capa.toml: cannot be read: Too many levels of symbolic links. Check",
        ),
    ],
    ids=["folder", "dangling link", "link to itself"],
)
def test_an_entry_in_the_place_of_the_file_that_is_none_is_refused(make, message, below, tmp_path):
    make(tmp_path / "capa.toml")
    start = tmp_path / below
    start.mkdir(parents=True, exist_ok=True)

    with pytest.raises(SettingsError, match=f"^{re.escape(str(tmp_path))}/{message}"):
        Runtime(start=start, environ={}).state()


def test_a_byte_order_mark_before_the_settings_is_skipped(opened):
    assert MemoryState is type(opened('\ufeff[state.default]\ndriver = "memory"\n')._driver)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"CAPA_STATE__DEFAULT": "redis"}, r"CAPA_STATE__DEFAULT: must be a table"),
        (
            {"CAPA_STATE__DEFAULT": "redis", "CAPA_STATE__DEFAULT__URL": "redis://h"},
            "CAPA_STATE__DEFAULT__URL is a key below .* Unset one",
        ),
        ({"CAPA_EMBEDDED": "perhaps"}, "CAPA_EMBEDDED: must be a valid boolean"),
        ({"CAPA_CONFIG": "/no/such/file.toml"}, "/no/such/file.toml: cannot be read.*Check CAPA_CONFIG"),
        (
            {"CAPA_STATE__DEFAULT__DRIVER": "redis", "CAPA_STATE__DEFAULT__URL": "h"},
            "environment: CAPA_STATE__DEFAULT__URL: .*Write redis://",
        ),
    ],
)
def test_an_error_in_the_environment_names_the_variable_and_the_next_step(environ, message, opened):
    with pytest.raises(SettingsError, match=message):
        opened("", **environ)


@pytest.mark.parametrize("url", ["ftp://h", "http://h:port", "http://", "http://[::1"])
def test_a_malformed_address_of_a_service_is_refused_before_a_call(url, tmp_path):
    runtime = Runtime({"invocation": {"cat": {"url": url}}}, start=tmp_path, environ={})

    with pytest.raises(SettingsError, match="code: invocation.cat: .*Write http://host:port"):
        runtime.invocation("cat")


def test_a_user_name_in_the_address_of_a_service_is_refused_rather_than_not_sent(tmp_path):
    runtime = Runtime({"invocation": {"cat": {"url": "http://u:p@h"}}}, start=tmp_path, environ={})

    with pytest.raises(SettingsError, match="give each call an Authorization header"):
        runtime.invocation("cat")


def test_a_malformed_legacy_address_names_the_setting(tmp_path):
    table = {"driver": "memory", "legacy": ["redis://h:port/0"]}
    runtime = Runtime({"state": {"default": table}}, start=tmp_path, environ={})

    with pytest.raises(
        SettingsError, match="code: state.default.legacy: 'redis://h:port/0' is not an address"
    ):
        runtime.logical_name("state", "redis://h")


def test_a_malformed_address_in_legacy_code_has_no_logical_name(tmp_path):
    runtime = Runtime({"state": {"default": {"driver": "memory"}}}, start=tmp_path, environ={})

    assert runtime.logical_name("state", "redis://h:port/0") is None


def test_one_required_ability_needs_no_brackets(tmp_path):
    tree = {"state": {"default": {"driver": "memory"}}, "requires": {"state": "durable"}}

    with pytest.raises(NotImplementedError, match="state: durable"):
        Runtime(tree, start=tmp_path, environ={}).require()


@pytest.mark.parametrize("block", ["state", "pubsub", "lock"])
def test_a_server_that_is_down_is_named_with_the_next_step(block, tmp_path, free_port):
    url = f"redis://127.0.0.1:{free_port}/0"
    runtime = Runtime(
        {block: {"default": {"driver": "redis", "url": url, "retries": 0}}}, start=tmp_path, environ={}
    )
    call = {
        "state": lambda: runtime.state().get("k"),
        "pubsub": lambda: runtime.pubsub().publish("t", b"x"),
        "lock": lambda: runtime.lock().try_lock("k", "me", lease=5),
    }[block]

    with pytest.raises(UnavailableError, match=rf"{block} 'default': .*:{free_port}\b.*`capa doctor` shows"):
        call()


def test_a_service_that_is_down_is_named_with_the_next_step(tmp_path, free_port):
    tree = {"invocation": {"cat": {"url": f"http://127.0.0.1:{free_port}", "retries": 0}}}

    with pytest.raises(
        UnavailableError, match=rf"invocation 'cat': .*127.0.0.1:{free_port}.*`capa doctor` shows"
    ):
        Runtime(tree, start=tmp_path, environ={}).invocation("cat").invoke("reserve")


def test_a_service_whose_name_does_not_resolve_names_the_setting_of_its_address(tmp_path):
    tree = {"invocation": {"default": {"retries": 0}}}

    with pytest.raises(
        UnavailableError, match="no host is named 'cat.invalid'.*correct its address in capa.toml"
    ):
        Runtime(tree, start=tmp_path, environ={}).invocation("cat.invalid").invoke("reserve")


@pytest.mark.server("redis")
def test_a_refused_password_is_a_refusal_and_not_an_outage(tmp_path, redis_url):
    url = redis_url.replace("redis://", "redis://nobody:wrong@")
    tree = {"state": {"default": {"driver": "redis", "url": url}}}

    with pytest.raises(PermissionDeniedError, match="state 'default': get failed: .*`capa doctor` shows"):
        Runtime(tree, start=tmp_path, environ={}).state().get("k")
