"""`capa config pull`: the values of an Apollo server become files that Capa reads, whole or not at all."""

import json

import pytest

from capa_core import Runtime, use_runtime

VALUES = {"a": "1", "ü": "漢\n x", "empty": "", " key": " padded ", "a=b": "c:d#e"}
LIMITS = '{"most": 3}'


@pytest.fixture
def pull(apollo, tmp_path, monkeypatch, capa):
    """Return a function that runs `capa config pull` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    apollo.release("application", VALUES, app="shop")
    apollo.release("limits.json", LIMITS, app="shop")

    def run(*words, url=apollo.url, app="shop"):
        return capa("config", "pull", "--from-apollo", url, "--app-id", app, *words)

    return run


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def read(folder, group="application", label=""):
    with Runtime(start=folder, environ={}) as runtime:
        view = runtime.configuration().view(group, application="shop", label=label)
        return dict(view) if view.content is None else view.content


def test_a_namespace_becomes_a_file_that_reads_the_same(pull, tmp_path):
    code, out, _ = pull()

    assert 0 == code
    assert ["config/shop/application.properties"] == files(tmp_path)
    assert VALUES == read(tmp_path)
    assert "config/shop/application.properties: written (release release-" in out
    assert ", 5 keys)" in out


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("limits.json", LIMITS),
        ("nested.yaml", "db: {host: h}\n"),
        ("nested.yml", "db: {host: h}\n"),
        ("beans.xml", "<a b='c'/>"),
        ("notice.txt", "a = b\r\n\n c"),
        ("empty.txt", ""),
    ],
)
def test_a_document_keeps_its_text(apollo, pull, tmp_path, name, text):
    apollo.release(name, text, app="shop")
    code, _, _ = pull("--namespace", name)

    assert 0 == code
    assert [f"config/shop/{name}"] == files(tmp_path)
    assert text == (tmp_path / "config" / "shop" / name).read_bytes().decode()
    assert text == read(tmp_path, name)


def test_a_cluster_has_a_folder_of_its_own(apollo, pull, tmp_path):
    apollo.release("application", {"a": "blue"}, app="shop", cluster="blue")
    pull()
    pull("--cluster", "blue")

    assert ("1", "blue") == (read(tmp_path)["a"], read(tmp_path, label="blue")["a"])


def test_a_client_that_was_moved_finds_the_values(apollo, pull, tmp_path):
    from capa_apollo.pyapollo import ApolloClient

    pull("--namespace", "application", "--namespace", "limits.json")
    with Runtime(start=tmp_path, environ={}) as runtime, use_runtime(runtime):
        client = ApolloClient("shop", config_server_url=apollo.url)
        client.start()
        seen = client.get_value("a"), client.get_value("content", namespace="limits.json")

    assert ("1", LIMITS) == seen


def test_the_folder_of_the_file_component_is_the_default(pull, tmp_path):
    (tmp_path / "capa.toml").write_text('[configuration.default]\ndriver = "file"\npath = "etc/values"\n')
    pull()

    assert ["capa.toml", "etc/values/shop/application.properties"] == files(tmp_path)


def test_another_folder_may_be_named(pull, tmp_path):
    pull("--to", "elsewhere")

    assert ["elsewhere/shop/application.properties"] == files(tmp_path)


def test_without_a_file_component_the_folder_must_be_named(pull, tmp_path):
    (tmp_path / "capa.toml").write_text('[configuration.default]\ndriver = "memory"\n')
    code, _, err = pull()

    assert 3 == code
    assert "configuration default is served by memory: give --to FOLDER" in err


def test_where_nothing_serves_configuration_the_folder_must_be_named(pull, tmp_path):
    settings = '[pubsub.default]\ndriver = "redis"\nurl = "redis://127.0.0.1:1/0"\n'
    (tmp_path / "capa.toml").write_text(settings)
    code, _, err = pull()

    assert 3 == code
    assert "nothing serves configuration 'default'" in err
    assert err.endswith("or give --to FOLDER\n")
    assert 0 == pull("--to", "config")[0]


def test_pulling_again_changes_nothing(pull, tmp_path):
    pull()
    before = (tmp_path / "config/shop/application.properties").stat().st_mtime_ns
    code, out, _ = pull()

    assert (0, before) == (code, (tmp_path / "config/shop/application.properties").stat().st_mtime_ns)
    assert "says so already" in out


def test_comments_and_order_are_no_difference(pull, tmp_path):
    pull()
    path = tmp_path / "config/shop/application.properties"
    path.write_text("# ours\n" + path.read_text())
    code, _, _ = pull("--force")

    assert 0 == code
    assert path.read_text().startswith("# ours\n")


class TestLocalChanges:
    @pytest.fixture
    def edited(self, pull, tmp_path):
        pull("--namespace", "application", "--namespace", "limits.json")
        path = tmp_path / "config/shop/limits.json"
        path.write_text('{"most": 99}')
        return path

    def test_they_are_shown_and_nothing_is_written(self, apollo, pull, edited, tmp_path):
        apollo.release("application", {"a": "2"}, app="shop")
        code, out, err = pull("--namespace", "new.txt", "--namespace", "limits.json")
        assert 2 == code  # new.txt has no release
        code, out, err = pull("--namespace", "application", "--namespace", "limits.json")

        assert 1 == code
        assert '{"most": 99}' == edited.read_text()
        assert VALUES == read(tmp_path)
        assert ['-{"most": 99}', '+{"most": 3}'] == [
            line for line in out.splitlines() if line[:1] in "+-" and "most" in line
        ]
        assert "2 of 2 files say something else, so nothing was written" in err

    def test_force_replaces_them(self, pull, edited):
        code, out, _ = pull("--namespace", "limits.json", "--force")

        assert (0, LIMITS) == (code, edited.read_text())
        assert '-{"most": 99}' in out

    def test_they_are_data_too(self, pull, edited):
        code, out, _ = pull("--namespace", "limits.json", "--json")

        data = json.loads(out)
        (one,) = data["namespaces"]
        assert (1, False, "differs", False) == (code, data["complete"], one["state"], one["written"])


class TestFailures:
    """Each names the reason, ends with its code, and leaves no file."""

    @pytest.mark.parametrize("how", ["html", "garbage", "truncated", "500"])
    def test_an_answer_that_is_not_apollos(self, apollo, pull, tmp_path, how):
        apollo.break_answers(how)
        code, _, err = pull()

        assert (2, []) == (code, files(tmp_path))
        assert f"capa config pull: {apollo.url} does not answer as Apollo does: " in err
        assert err.endswith("; nothing was written\n")

    def test_an_answer_that_breaks_off_in_the_second_namespace(self, apollo, pull, tmp_path):
        apollo.break_answers("truncated", of="/configs/shop/default/limits.json")
        code, _, _ = pull("--namespace", "application", "--namespace", "limits.json")

        assert (2, []) == (code, files(tmp_path))

    def test_a_server_that_is_not_there(self, pull, tmp_path):
        code, _, err = pull(url="http://127.0.0.1:1")

        assert (2, []) == (code, files(tmp_path))
        assert "http://127.0.0.1:1 does not answer as Apollo does: cannot connect to 127.0.0.1:1" in err
        assert "capa doctor" not in err

    def test_a_wrong_access_key(self, apollo, pull, tmp_path):
        apollo.store.secrets["shop"] = ["right"]
        code, _, err = pull("--secret", "wrong")

        assert (2, []) == (code, files(tmp_path))
        assert "refuses the access key of app 'shop': give --secret, or set APOLLO_ACCESS_KEY_SECRET" in err
        assert "wrong" not in err

    @pytest.mark.parametrize("words", [("--secret", "right"), ()])
    def test_the_right_access_key(self, apollo, pull, tmp_path, monkeypatch, words):
        apollo.store.secrets["shop"] = ["right"]
        if not words:
            monkeypatch.setenv("APOLLO_ACCESS_KEY_SECRET", "right")

        assert 0 == pull(*words)[0]

    def test_a_namespace_without_a_release(self, pull, tmp_path):
        code, _, err = pull("--namespace", "application", "--namespace", "nowhere")

        assert (2, []) == (code, files(tmp_path))
        assert "namespace 'nowhere' of app 'shop' has no release in cluster 'default'" in err

    def test_a_malformed_document(self, apollo, pull, tmp_path):
        apollo.release("limits.json", "{", app="shop")
        code, _, err = pull("--namespace", "limits.json")

        assert (3, []) == (code, files(tmp_path))
        assert "namespace 'limits.json' of cluster 'default'" in err

    @pytest.mark.parametrize("url", ["apollo:8080", "http://user:pw@apollo:8080", "ftp://apollo"])
    def test_an_address_that_is_none(self, pull, tmp_path, url):
        code, _, err = pull(url=url)

        assert (3, []) == (code, files(tmp_path))
        assert "pw" not in err

    def test_a_disk_that_cannot_be_written(self, pull, tmp_path):
        (tmp_path / "config").write_text("not a folder")
        code, _, err = pull()

        assert (2, ["config"]) == (code, files(tmp_path))
        assert "Not a directory" in err

    def test_a_folder_that_cannot_be_made(self, pull):
        code, _, err = pull("--to", "/proc/capa")

        assert 2 == code
        assert err.endswith("; each file is as before, or whole: run it again\n")

    def test_settings_of_the_project_do_not_matter_for_reading(self, pull, tmp_path, monkeypatch):
        monkeypatch.setenv("CAPA_CONFIGURATION__DEFAULT__DRIVER", "memory")

        assert 0 == pull("--to", "config")[0]


def test_a_meta_server_names_the_config_service(apollo, start_apollo, pull):
    meta = start_apollo()
    meta.instances = [apollo.url]

    assert 0 == pull("--meta", url=meta.url)[0]


def test_help_has_an_example(capa):
    ran = capa("config", "pull", "--help")

    assert "capa config pull --from-apollo http://apollo:8080 --app-id shop" in ran.out
