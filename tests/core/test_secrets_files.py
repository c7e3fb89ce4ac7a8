"""Secret files and variables: the meaning of each format, beyond the conformance suite."""

import itertools
import shutil
import traceback

import pytest

from capa_core.blocks.secrets import Secrets
from capa_core.components.file import _secret_files
from capa_core.components.file.secrets import FileSecrets, FileSecretsSettings
from capa_core.errors import (
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
)
from capa_core.runtime import Runtime


@pytest.fixture
def secrets(tmp_path):
    def open_secrets(*path, environment=False, **settings):
        driver = FileSecrets(
            FileSecretsSettings(root=tmp_path, path=path, environment=environment, **settings)
        )
        return Secrets(driver)

    return open_secrets


def revealed(secrets):
    return {name: {f: s.reveal() for f, s in fields.items()} for name, fields in secrets.get_all().items()}


def test_a_dotenv_file_has_its_usual_grammar(tmp_path, secrets):
    (tmp_path / ".env").write_text(
        "# a comment\nTOKEN=plain # not part of it\nexport QUOTED=\"a b\\nc\"\nRAW='$HOME ${HOME} #1'\nEMPTY=\n"
    )

    assert {
        "TOKEN": {"": "plain"},
        "QUOTED": {"": "a b\nc"},
        "RAW": {"": "$HOME ${HOME} #1"},
        "EMPTY": {"": ""},
    } == revealed(secrets(".env"))


class Mounted:
    """A folder as Kubernetes mounts a secret: `..data` leads to its present version."""

    def __init__(self, folder):
        self.folder = folder
        self._version = None
        self._numbers = itertools.count()

    def replace(self, values):
        """Replace all files in one step, and remove those before."""
        before, self._version = self._version, self.folder / f"..{next(self._numbers)}"
        self._version.mkdir(parents=True)
        for name, value in values.items():
            (self._version / name).write_text(value)
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        (self.folder / "..data_tmp").symlink_to(self._version.name)
        (self.folder / "..data_tmp").rename(self.folder / "..data")
        if before:
            shutil.rmtree(before)


@pytest.mark.parametrize("at", ["secrets", "secrets/db"])
def test_what_is_read_of_a_mounted_secret_is_of_one_version(tmp_path, secrets, monkeypatch, at):
    mounted, left = Mounted(tmp_path / at), [2, 1]
    mounted.replace({"user": "user3", "password": "password3"})
    read = _secret_files._text

    def replaced_after_the_first_file(path, **how):
        text = read(path, **how)
        if left:
            number = left.pop(0)
            mounted.replace({"user": f"user{number}", "password": f"password{number}"})
        return text

    monkeypatch.setattr(_secret_files, "_text", replaced_after_the_first_file)
    found = revealed(secrets("secrets"))
    fields = {name: value[""] for name, value in found.items()} if at == "secrets" else found["db"]

    assert {"user": "user1", "password": "password1"} == fields


def test_a_secret_that_is_replaced_without_end_is_an_error_that_says_so(tmp_path, secrets, monkeypatch):
    mounted = Mounted(tmp_path / "secrets")
    mounted.replace({"user": "u", "password": "p"})
    read = _secret_files._text

    def replaced_after_each_file(path, **how):
        text = read(path, **how)
        mounted.replace({"user": "u", "password": "p"})
        return text

    monkeypatch.setattr(_secret_files, "_text", replaced_after_each_file)
    with pytest.raises(UnavailableError, match="replaced 5 times"):
        secrets("secrets").get_all()


@pytest.mark.parametrize("name", [".env", ".env.local", "prod.env"])
def test_every_usual_name_of_a_dotenv_file_is_accepted(tmp_path, secrets, name):
    (tmp_path / name).write_text("TOKEN=x")

    assert "x" == secrets(name).get("TOKEN").reveal()


def test_a_value_of_json_or_toml_that_is_not_text_is_read_as_json(tmp_path, secrets):
    (tmp_path / "s.json").write_text('{"port": 5432, "tls": true, "deep": {"list": [1, "ü"]}, "none": null}')
    (tmp_path / "s.toml").write_text("since = 2026-01-02")

    assert {
        "port": {"": "5432"},
        "tls": {"": "true"},
        "deep": {"list": '[1, "ü"]'},
        "since": {"": '"2026-01-02"'},
    } == revealed(secrets("s.json", "s.toml"))


def test_the_first_path_that_has_a_secret_wins(tmp_path, secrets):
    (tmp_path / "a.env").write_text("X=from a")
    (tmp_path / "b.env").write_text("X=from b\nY=from b")

    assert {"X": {"": "from a"}, "Y": {"": "from b"}} == revealed(secrets("a.env", "missing.json", "b.env"))
    assert "from a" == secrets("a.env", "b.env").get("X").reveal()


def test_a_file_of_a_folder_loses_one_line_end(tmp_path, secrets):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "unix").write_bytes(b"x\n\n")
    (tmp_path / "run" / "windows").write_bytes(b"x\r\n")

    assert {"unix": {"": "x\n"}, "windows": {"": "x"}} == revealed(secrets("run"))


@pytest.mark.parametrize("name", ["../outside", "..", ".", ".hidden", "in/side", "/etc/hostname", "a\0b"])
def test_a_name_does_not_lead_out_of_a_folder(tmp_path, secrets, name):
    (tmp_path / "outside").write_text("x")
    (tmp_path / "run" / "in").mkdir(parents=True)
    (tmp_path / "run" / "in" / "side").write_text("x")
    (tmp_path / "run" / ".hidden").write_text("x")

    with pytest.raises(NotFoundError):
        secrets("run").get(name)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("s.json", b'{"password": "hunter2"'),
        ("s.json", b'["hunter2"]'),
        ("s.json", b'{"password": "hunter2", "pin": ' + b"9" * 5000 + b"}"),
        ("s.toml", b'password = "hunter2'),
        ("s.toml", b'password = "hunter2"\npin = ' + b"9" * 5000),
        ("s.toml", b"password = hunter2"),
        ("s.env", b"password=hunter2\xff"),
        ("run/s", b"hunter2\xff"),
    ],
)
def test_a_broken_file_is_named_and_its_content_is_not(tmp_path, secrets, file, content):
    (tmp_path / "run").mkdir()
    (tmp_path / file).write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        secrets(file.partition("/")[0]).get("s")

    shown = "".join(traceback.format_exception(caught.value))
    assert str(tmp_path / file) in shown
    assert "hunter2" not in shown


def test_a_file_of_another_kind_is_refused_at_opening(tmp_path, secrets):
    (tmp_path / "s.ini").write_text("x")

    with pytest.raises(SettingsError, match=r"\.env, \.json, \.toml files and from folders"):
        secrets("s.ini")


def test_an_unreadable_file_is_a_permission_error(tmp_path, secrets, mocker):
    (tmp_path / "s.json").write_text("{}")
    opened = secrets("s.json")
    mocker.patch("pathlib.Path.read_bytes", side_effect=PermissionError(13, "Permission denied"))

    with pytest.raises(PermissionDeniedError, match="Permission denied"):
        opened.get("x")


@pytest.mark.parametrize(
    ("prefix", "variable", "name"),
    [
        ("", "TOKEN", "TOKEN"),
        ("", "DB_PASSWORD", "db-password"),
        ("APP_", "APP_TOKEN", "token"),
        ("", "a.b", "a.b"),
    ],
)
def test_a_variable_is_a_secret(secrets, monkeypatch, prefix, variable, name):
    monkeypatch.setenv(variable, "x")

    assert "x" == secrets("none", environment=True, env_prefix=prefix).get(name).reveal()


def test_a_file_wins_over_a_variable(tmp_path, secrets, monkeypatch):
    monkeypatch.setenv("TOKEN", "of the environment")
    (tmp_path / "s.env").write_text("TOKEN=of the file")

    assert "of the file" == secrets("s.env", environment=True).get("TOKEN").reveal()


def test_variables_are_listed_only_with_a_prefix(secrets, monkeypatch):
    monkeypatch.setenv("APP_TOKEN", "x")

    assert {"TOKEN": {"": "x"}} == revealed(secrets("none", environment=True, env_prefix="APP_"))
    assert {} == revealed(secrets("none", environment=True))


def test_variables_can_be_left_out(secrets, monkeypatch):
    monkeypatch.setenv("TOKEN", "x")

    with pytest.raises(NotFoundError):
        secrets("none").get("TOKEN")


def test_ping_names_the_sources_and_the_missing_ones(tmp_path, secrets):
    (tmp_path / "s.env").write_text("")

    line = secrets("s.env", "gone", environment=True).ping()

    assert f"{tmp_path}/s.env, {tmp_path}/gone (missing), environment variables" == line


def test_with_no_settings_secrets_are_read_beside_capa_toml(tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "token").write_text("x\n")
    with Runtime(start=tmp_path, environ={}) as runtime:
        assert "x" == runtime.secrets().get("token").reveal()


def test_a_setting_may_be_a_secret(tmp_path):
    (tmp_path / "s.toml").write_text('[redis]\nurl = "redis://:hunter2@127.0.0.1:1/0"')
    settings = {
        "secrets": {"default": {"driver": "file", "path": "s.toml"}},
        "state": {"default": {"driver": "redis", "url": "${secret:redis#url}"}},
    }
    with Runtime(settings, start=tmp_path, environ={}) as runtime, pytest.raises(Exception) as caught:
        runtime.state().ping()

    assert "127.0.0.1:1" in str(caught.value)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_name_that_is_not_text_is_refused(secrets):
    with pytest.raises(InvalidArgumentError):
        secrets("none").get(None)


@pytest.mark.parametrize("name", ["..", "/", "a" * 5_000])
def test_no_name_reads_a_variable_or_file_of_another(tmp_path, secrets, monkeypatch, name):
    monkeypatch.setenv("_", "of the shell")
    monkeypatch.setenv("__", "of another program")
    (tmp_path / "folder").mkdir()
    with pytest.raises(NotFoundError):
        secrets("folder", environment=True).get(name)
