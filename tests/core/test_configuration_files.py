"""Configuration files: the file that serves a group, live edits of every kind, and malformed files."""

import itertools
import os
import sys
import threading
import time

import pytest
import structlog

from capa_core.blocks.configuration import Configuration, ConfigurationItem, Scope
from capa_core.components.file._folder import replace_file
from capa_core.components.file.configuration import SETTLE_S, FileConfiguration, FileConfigurationSettings
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import InvalidArgumentError, MissingExtraError, PermissionDeniedError, SettingsError


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "config"
    path.mkdir()
    return path


@pytest.fixture
def driver(tmp_path, folder):
    return FileConfiguration(FileConfigurationSettings(root=tmp_path, poll_s=0.05))


@pytest.fixture
def configuration(driver):
    with Configuration(driver, "test") as portable:
        yield portable


@pytest.mark.parametrize("name", ["properties", "toml", "json", "yaml", "yml"])
def test_a_group_is_found_in_every_format(folder, configuration, name):
    text = {"properties": "a=1", "toml": "a = 1", "json": '{"a": 1}', "yaml": "a: 1", "yml": "a: 1"}[name]
    folder.joinpath(f"application.{name}").write_text(text)

    view = configuration.view()
    assert ({"a": "1"}, None) == (dict(view), view.content)


def test_the_closest_file_serves(folder, driver):
    for place in (".", "prod", "shop", "shop/prod"):
        folder.joinpath(place).mkdir(parents=True, exist_ok=True)
        folder.joinpath(place, "application.properties").write_text(f"from={place}")

    scopes = [
        Scope(),
        Scope(label="prod"),
        Scope("shop"),
        Scope("shop", label="prod"),
        Scope("shop", label="test"),
    ]
    assert [".", "prod", "shop", "shop/prod", "shop"] == [
        driver.get(each).items["from"].value for each in scopes
    ]


def test_a_group_with_a_dot_is_not_a_document(folder, configuration):
    folder.joinpath("FX.apollo.properties").write_text("a=1")

    assert {"a": "1"} == dict(configuration.view("FX.apollo"))


def test_any_other_file_is_text(folder, configuration):
    folder.joinpath("motd.html").write_text("<p>\n")

    view = configuration.view("motd.html")
    assert ("<p>\n", {}) == (view.content, dict(view))


@pytest.mark.parametrize("name", ["..", "../x", "/etc/passwd", "a/b", "a\\b", "."])
@pytest.mark.parametrize("part", ["group", "application", "label"])
def test_a_name_cannot_leave_the_folder(configuration, part, name):
    with pytest.raises(InvalidArgumentError, match="cannot be a file name"):
        configuration.get(**{part: name})


def test_a_malformed_file_at_the_first_reading_is_an_error_with_its_line(folder, configuration):
    path = folder / "testjson.json"
    path.write_text('{\n "a": }')
    with pytest.raises(SettingsError) as caught:
        configuration.view("testjson.json")

    assert str(caught.value).startswith(f"{path}:2: ")


def test_a_malformed_file_later_keeps_the_values_and_is_logged_once(folder, configuration):
    path = folder / "testjson.json"
    path.write_text('{"a": 1}')
    view = configuration.view("testjson.json")
    with structlog.testing.capture_logs() as logs:
        replace_file(path, '{"a": ')  # at once: an emptied file would be a fault of its own
        wait_until(lambda: view.stale)
        time.sleep(0.3)
        warnings = [entry for entry in logs if entry["log_level"] == "warning"]
        replace_file(path, '{"a": 2}')
        wait_until(lambda: not view.stale)

    assert 1 == len(warnings)
    assert "2" == view["a"]


def test_a_slowly_written_file_is_never_read_partially(folder, configuration):
    path = folder / "application.properties"
    replace_file(path, "a=1\nb=1\n")
    view, seen = configuration.view(), set()
    configuration.follow(lambda view: seen.add(tuple(view.items())))
    while not written_slowly(path, ("a=2\n", "b=", "2\n")):  # a busy machine may make it rest for too long
        replace_file(path, "a=1\nb=1\n")
        wait_until(lambda: dict(view) == {"a": "1", "b": "1"})
        seen = {tuple(view.items())}
    wait_until(lambda: view.get("b") == "2")

    assert {(("a", "1"), ("b", "1")), (("a", "2"), ("b", "2"))} == seen


def written_slowly(path, parts):
    """Write *parts* with pauses between them; return whether no pause was so long that the file counted as complete."""
    times = []
    with path.open("w") as file:
        times.append(time.monotonic())
        for part in parts:
            file.write(part)
            file.flush()
            times.append(time.monotonic())
            time.sleep(0.02)
    return max(b - a for a, b in itertools.pairwise(times)) < SETTLE_S


@pytest.mark.parametrize("size", [1, 5])
def test_many_quick_rewrites_end_in_the_last_value(folder, configuration, size):
    path = folder / "application.properties"
    path.write_text("a=" + "0" * size)
    view = configuration.view()
    for digit in "123456789":
        path.write_text("a=" + digit * size)
    wait_until(lambda: view.get("a") == "9" * size)  # none while a write has emptied the file


def test_a_replaced_folder_behind_a_link_is_noticed(folder, configuration):
    """Kubernetes updates a ConfigMap in this way."""
    for number in "12":
        folder.joinpath(f"..{number}").mkdir()
        folder.joinpath(f"..{number}", "application.properties").write_text(f"a={number}")
    folder.joinpath("..data").symlink_to("..1")
    folder.joinpath("application.properties").symlink_to("..data/application.properties")
    view = configuration.view()
    folder.joinpath("..new").symlink_to("..2")
    folder.joinpath("..new").replace(folder / "..data")
    wait_until(lambda: view["a"] == "2")


def test_a_new_time_stamp_is_not_a_change(folder, configuration):
    path = folder / "application.properties"
    path.write_text("a=1")
    view, events = configuration.view(), []
    configuration.watch(events.append)
    version = view.version
    os.utime(path, (1, 1))
    time.sleep(0.3)

    assert (version, []) == (view.version, events)


def test_created_and_deleted_files_are_followed(folder, configuration):
    view = configuration.view()
    path = folder / "application.toml"
    path.write_text("a = 1")
    wait_until(lambda: view.get("a") == "1")
    path.unlink()
    wait_until(lambda: "a" not in view)

    assert "" == view.version


def test_a_gap_while_an_editor_replaces_a_file_is_not_seen(folder, configuration):
    path = folder / "application.properties"
    path.write_text("a=1")
    view, sizes = configuration.view(), []
    configuration.watch(lambda event: sizes.append(len(event.new.items)))
    gap_s = SETTLE_S
    while gap_s >= SETTLE_S:  # a busy machine may make it too long
        sizes.clear()
        started = time.monotonic()
        path.rename(folder / "application.properties~")
        time.sleep(0.01)
        path.write_text(f"a={started}")
        gap_s = time.monotonic() - started
        wait_until(lambda now=started: view.get("a") == str(now))
        wait_until(lambda: sizes and sizes[-1] == 1)

    assert [1] == sizes


def test_save_keeps_comments_mode_and_link(folder, configuration, tmp_path):
    target = tmp_path / "elsewhere.properties"
    target.write_text("# why\na = 1\n")
    target.chmod(0o640)
    folder.joinpath("application.properties").symlink_to(target)
    configuration.save({"a": "2"})

    assert ("# why\na = 2\n", 0o640) == (target.read_text(), target.stat().st_mode & 0o777)
    assert folder.joinpath("application.properties").is_symlink()


def test_save_leaves_no_temporary_file_when_the_disk_fails(folder, configuration, monkeypatch):
    path = folder / "application.properties"
    path.write_text("a=1")
    monkeypatch.setattr(
        os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(Exception, match="No space left"):
        configuration.save({"a": "2"})

    assert [("application.properties", "a=1")] == [(each.name, each.read_text()) for each in folder.iterdir()]


def test_two_components_that_save_concurrently_lose_nothing(tmp_path, folder):
    settings = FileConfigurationSettings(root=tmp_path)

    def save(name):
        own = FileConfiguration(settings)
        for number in range(20):
            own.save(Scope(), [ConfigurationItem(f"{name}{number}", "v")])

    threads = [threading.Thread(target=save, args=(name,)) for name in "ab"]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    assert 40 == len(FileConfiguration(settings).get(Scope()).items)


def test_properties_that_are_not_utf8_are_latin1(folder, configuration):
    folder.joinpath("application.properties").write_bytes("a=größe".encode("iso-8859-1"))

    assert "größe" == configuration.view()["a"]


def test_a_byte_order_mark_is_not_part_of_the_text(folder, configuration):
    folder.joinpath("a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')

    assert '{"a": 1}' == configuration.view("a.json").content


def test_a_file_of_another_format_that_is_not_utf8_is_an_error_with_its_line(folder, configuration):
    folder.joinpath("a.json").write_bytes(b'{\n"a": "\xff"}')
    with pytest.raises(SettingsError, match=r"a\.json:2: not UTF-8"):
        configuration.view("a.json")


def test_yaml_without_its_library_names_the_extra(folder, configuration, monkeypatch):
    folder.joinpath("a.yaml").write_text("a: 1")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtraError, match=r"capa-core\[yaml\]"):
        configuration.view("a.yaml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission_is_named(folder, configuration):
    path = folder / "application.properties"
    path.write_text("a=1")
    path.chmod(0)
    with pytest.raises(PermissionDeniedError, match="application.properties"):
        configuration.view()
