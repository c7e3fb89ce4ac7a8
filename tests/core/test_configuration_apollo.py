"""The Apollo driver, against the test server: each sentence of Apollo's protocol, read, watched and written."""

import json
import logging
import select
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from certificates import make_certificate
from servers.apollo import ApolloServer

from capa_core import Runtime
from capa_core.blocks.configuration import Configuration, ConfigurationFeature, Scope
from capa_core.components.apollo._client import ConfigServices
from capa_core.components.apollo.configuration import ApolloConfiguration, ApolloConfigurationSettings
from capa_core.conformance._processes import Child
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import (
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
    UnsupportedError,
)

HOME = Scope()


@pytest.fixture
def connect(apollo):
    """Return a function that makes a driver with some settings; all are closed at the end."""
    made = []

    def make(**more) -> ApolloConfiguration:
        given = {"url": apollo.url, "app_id": "app", **more}
        driver = ApolloConfiguration(ApolloConfigurationSettings(**given))
        made.append(driver)
        return driver

    yield make
    for driver in made:
        driver.close()


@pytest.fixture
def component(connect):
    """Return a function that makes the portable type over a driver."""
    made = []

    def make(**more) -> Configuration:
        made.append(Configuration(connect(**more), poll_s=0.05))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def writable(apollo, connect):
    """A driver with the portal too."""
    apollo.store.create("app", "default", "application")
    return connect(portal=apollo.url, token=apollo.token)


def values(driver, scope=HOME):
    return {key: item.value for key, item in driver.get(scope).items.items()}


def queries(apollo, path, after=0):
    """Return the queries of the requests whose path begins with *path*."""
    return [
        parse_qs(urlsplit(target).query)
        for _, target in apollo.seen[after:]
        if urlsplit(target).path.startswith(path)
    ]


def polls(apollo, after=0):
    return [json.loads(query["notifications"][0]) for query in queries(apollo, "/notifications", after)]


class TestReading:
    def test_the_release_key_is_sent_from_the_second_time_on(self, apollo, connect):
        release = apollo.release("application", {"a": "1"})
        driver = connect()
        seen = [values(driver), values(driver)]

        assert [{"a": "1"}, {"a": "1"}] == seen
        assert [None, [release.key]] == [query.get("releaseKey") for query in queries(apollo, "/configs")]

    def test_a_merged_release_key_is_sent_so_that_nothing_changed_is_understood(self, apollo, connect):
        apollo.release("common", {"a": "public", "b": "public"}, app="owner", public=True)
        apollo.release("common", {"a": "own"})
        driver = connect()
        seen = [values(driver, Scope(group="common")) for _ in range(2)]

        assert {"a": "own", "b": "public"} == seen[0] == seen[1]
        assert "%2B" in apollo.seen[-1][1]
        assert "+" in driver.version(Scope(group="common"))

    @pytest.mark.parametrize("app", ["app", "unknown", ""])
    def test_a_public_namespace_is_read_by_any_application(self, apollo, connect, app):
        apollo.release("common", {"a": "public"}, app="owner", public=True)

        assert {"a": "public"} == values(connect(app_id=app), Scope(group="common"))

    def test_nothing_released_is_nothing_and_an_empty_release_is_a_version(self, apollo, connect):
        apollo.release("empty", {})
        driver = connect()

        assert ({}, "") == (values(driver), driver.version(HOME))
        assert ({}, True) == (
            values(driver, Scope(group="empty")),
            bool(driver.version(Scope(group="empty"))),
        )

    def test_a_cluster_falls_back_to_the_data_center_then_to_the_default_one(self, apollo, connect):
        apollo.release("application", {"a": "default"})
        driver = connect(cluster="blue", data_center="north")
        seen = [values(driver)]
        for cluster in ("north", "blue"):
            apollo.release("application", {"a": cluster}, cluster=cluster)
            seen.append(values(driver))

        assert [{"a": "default"}, {"a": "north"}, {"a": "blue"}] == seen

    def test_the_data_center_goes_before_the_default_cluster(self, apollo, connect):
        apollo.release("application", {"a": "default"})
        apollo.release("application", {"a": "north"}, cluster="north")

        assert {"a": "north"} == values(connect(data_center="north"))

    @pytest.mark.parametrize("group", ["db", "DB", "db.properties", "db.PROPERTIES"])
    def test_case_and_the_suffix_of_properties_do_not_matter(self, apollo, connect, group):
        apollo.release("db", {"a": "1"})

        assert {"a": "1"} == values(connect(), Scope(group=group))

    def test_a_group_that_is_spelled_with_properties_has_a_text(self, apollo, connect):
        apollo.release("db", {"a b": "1", "c": "ü"})
        snapshot = connect().get(Scope(group="db.properties"))

        assert {"a b": "1", "c": "ü"} == {key: item.value for key, item in snapshot.items.items()}
        assert snapshot.content.endswith("\n")

    def test_parts_of_the_path_are_escaped(self, apollo, connect):
        apollo.release("a b+c/d", {"a": "1"}, app="ü/1", cluster="b&c")

        assert {"a": "1"} == values(connect(), Scope("ü/1", "a b+c/d", "b&c"))

    @pytest.mark.parametrize(
        ("group", "text", "items"),
        [
            ("limits.json", '{"most": 3, "hosts": ["a"]}', {"most": "3", "hosts[0]": "a"}),
            ("nested.yaml", "db:\n  host: h\n", {"db.host": "h"}),
            ("nested.yml", "db:\n  host: h\n", {"db.host": "h"}),
            ("notice.txt", "a = <b>\n", {}),
            ("beans.xml", "<a b='c'/>", {}),
        ],
    )
    def test_a_document_has_its_text_and_its_values(self, apollo, connect, group, text, items):
        apollo.release(group, text)
        driver = connect()

        assert text == driver.get(Scope(group=group)).content
        assert items == values(driver, Scope(group=group))

    def test_a_malformed_document_is_named(self, apollo, connect):
        apollo.release("limits.json", "{")

        with pytest.raises(SettingsError, match=r"namespace 'limits.json' of cluster 'default'"):
            connect().get(Scope(group="limits.json"))

    def test_changes_alone_are_merged(self, apollo, connect):
        apollo.incremental = True
        apollo.release("application", {"kept": "1", "changed": "1", "gone": "1"})
        driver = connect()
        seen = [values(driver)]
        for released in (
            {"kept": "1", "changed": "2", "new": "<2>"},
            {"kept": "1", "changed": "2", "new": "<2>"},
        ):
            apollo.release("application", released)
            seen.append(values(driver))

        assert [
            {"kept": "1", "changed": "1", "gone": "1"},
            {"kept": "1", "changed": "2", "new": "<2>"},
            {"kept": "1", "changed": "2", "new": "<2>"},
        ] == seen

    @pytest.mark.parametrize("client", [{"client_ip": "10.0.0.7"}, {"client_label": "beta"}])
    def test_a_gray_release_is_for_the_clients_of_its_rule(self, apollo, connect, client):
        apollo.release("application", {"a": "main", "b": "main"})
        place = apollo.place("application")
        apollo.store.branch(place, {"a": "gray"}, ips={"10.0.0.7"}, labels={"beta"})

        assert {"a": "gray", "b": "main"} == values(connect(**client))
        assert {"a": "main", "b": "main"} == values(connect())

    def test_an_answer_of_another_server_is_no_value(self, apollo, connect):
        apollo.release("application", {"a": "1"})
        driver = connect()
        for how in ("html", "garbage", "truncated", "500"):
            apollo.break_answers(how)
            with pytest.raises(Exception) as raised:
                driver.get(HOME)

            assert driver.name_error(raised.value) is UnavailableError or isinstance(
                raised.value, UnavailableError
            )
        apollo.break_answers("")

        assert {"a": "1"} == values(driver)

    def test_json_that_is_not_apollos_is_named(self, connect, apollo):
        apollo.release("application", {"a": "1"})
        apollo.store.releases[apollo.place("application")][-1].values["a"] = 5

        with pytest.raises(UnavailableError, match="not Apollo's: another server may listen there"):
            connect().get(HOME)


class TestAccessKeys:
    def test_a_signed_request_is_served_and_no_other(self, apollo, connect):
        apollo.release("application", {"a": "1"})
        apollo.release("a+b ü.json", "{}")
        apollo.store.secrets["app"] = ["first", "second"]

        assert [{"a": "1"}, {"a": "1"}] == [values(connect(secret=one)) for one in ("first", "second")]
        assert "{}" == connect(secret="first").get(Scope(group="a+b ü.json")).content
        for wrong in ("", "other"):
            with pytest.raises(PermissionDeniedError, match=r"status 401.*Correct `secret`.*clock"):
                connect(secret=wrong).get(HOME)

    def test_an_unknown_namespace_is_refused_before_it_is_missed(self, apollo, connect):
        apollo.store.secrets["app"] = ["first"]

        with pytest.raises(PermissionDeniedError):
            connect().version(Scope(group="nowhere"))

    def test_a_poll_is_signed_too(self, apollo, connect):
        apollo.release("application", {"a": "1"})
        apollo.store.secrets["app"] = ["first"]

        release = apollo.store.releases[apollo.place("application")][-1]
        assert {HOME: release.key} == connect(secret="first").watch({HOME: ""}, 5)

    def test_an_application_that_is_refused_leaves_the_others_alone(self, apollo, component, caplog):
        for app in ("app", "shop"):
            apollo.release("application", {"a": "1"}, app=app)
        one = component()
        own, other = one.view(), one.view(application="shop")
        wait_until(lambda: len(polls(apollo)) == 4)
        apollo.store.secrets["shop"] = ["a key from now on"]
        for app in ("shop", "app"):
            apollo.release("application", {"a": "2"}, app=app)
        wait_until(lambda: own["a"] == "2" and other.stale)

        assert ("1", False) == (other["a"], own.stale)

    def test_each_application_may_have_a_key_of_its_own(self, apollo, connect):
        for app in ("app", "shop"):
            apollo.release("application", {"a": app}, app=app)
            apollo.store.secrets[app] = [f"key of {app}"]
        driver = connect(secret="key of app", secrets={"shop": "key of shop"})

        assert [{"a": "app"}, {"a": "shop"}] == [values(driver), values(driver, Scope("shop"))]

    def test_the_key_is_in_no_message(self, apollo, connect):
        driver = connect(secret="hidden-key", portal=apollo.url, token="hidden-token")

        assert "hidden" not in repr(driver.settings) + str(driver.settings) + driver.ping()


class TestMetaServer:
    def test_it_names_the_config_services(self, apollo, start_apollo, connect):
        other = start_apollo()
        other.release("application", {"a": "other"})
        apollo.instances = [other.url]

        assert {"a": "other"} == values(connect(meta=apollo.url, url="http://127.0.0.1:1"))

    def test_the_next_service_answers_for_one_that_is_down(self, apollo, connect):
        apollo.release("application", {"a": "1"})

        assert {"a": "1"} == values(connect(url=["http://127.0.0.1:1", apollo.url]))

    def test_services_that_have_moved_are_looked_up_again(self, apollo, start_apollo, connect):
        first, second = start_apollo(), start_apollo()
        apollo.instances = [first.url]
        second.release("application", {"a": "second"})
        driver = connect(meta=apollo.url)
        driver.get(HOME)
        first.stop()
        apollo.instances = [second.url]
        with pytest.raises(OSError, match="cannot connect"):
            driver.get(HOME)

        assert {"a": "second"} == values(driver)

    def test_a_meta_server_without_services_is_an_error(self, apollo, connect):
        apollo.instances = []
        apollo.break_answers("html", of="/services")

        with pytest.raises(UnavailableError, match="an HTML page"):
            connect(meta=apollo.url).get(HOME)


class TestWatching:
    def test_the_first_poll_knows_nothing_and_the_next_resumes(self, apollo, connect):
        apollo.release("application", {"a": "1"})
        number = apollo.store.messages["app+default+application"]
        driver = connect()
        known = driver.watch({HOME: ""}, 5)
        driver.watch(known, 0.7)

        assert [
            [{"namespaceName": "application", "notificationId": -1}],
            [{"namespaceName": "application", "notificationId": number}],
        ] == polls(apollo)

    def test_a_poll_outlives_the_watch(self, apollo, connect):
        apollo.release("application", {"a": "1"})
        driver = connect()
        known = driver.watch({HOME: ""}, 5)
        for _ in range(4):
            driver.watch(known, 0.3)

        assert 2 == len(polls(apollo))

    def test_a_wake_that_comes_with_news_that_are_none_ends_the_watch(self, apollo, connect, monkeypatch):
        apollo.release("application", {"a": "1"})
        driver, begin = connect(), ConfigServices.begin
        known = {HOME: driver.version(HOME)}

        def answered_before_it_is_waited_for(*args):
            endpoint, connection = begin(*args)
            select.select([connection.sock], [], [], 10)
            driver.wake()
            return endpoint, connection

        monkeypatch.setattr(ConfigServices, "begin", answered_before_it_is_waited_for)

        assert {} == driver.watch(known, 5)
        assert 1 == len(polls(apollo))

    def test_one_request_watches_all_namespaces_of_a_cluster(self, apollo, component):
        one = component()
        views = [one.view(f"group{number}") for number in range(5)]
        time.sleep(0.8)
        before = len(apollo.seen)
        apollo.release("group3", {"a": "1"})
        wait_until(lambda: views[3].get("a") == "1")

        assert 5 == len(polls(apollo)[-1])
        assert 1 >= len(polls(apollo, before))

    def test_a_push_is_one_read(self, apollo, component):
        apollo.release("application", {"a": "0"})
        view = component().view()
        wait_until(lambda: len(polls(apollo)) == 2)
        before = len(apollo.seen)
        apollo.release("application", {"a": "1"})
        wait_until(lambda: view["a"] == "1")

        assert len(queries(apollo, "/configs", before)) <= 2

    def test_there_are_two_polls_a_second_at_most(self, apollo, component):
        one = component()
        started = time.monotonic()
        for number in range(30):
            one.view(f"group{number}")
            time.sleep(0.03)
        time.sleep(0.5)
        took_s = time.monotonic() - started

        assert len(polls(apollo)) <= 2 * took_s + 1

    def test_a_poll_that_ends_without_news_is_sent_again(self, apollo, component):
        apollo.hold_s = 0.2
        view = component().view()
        wait_until(lambda: len(polls(apollo)) >= 3)
        apollo.release("application", {"a": "1"})
        wait_until(lambda: view.get("a") == "1")

        assert not view.stale

    @pytest.mark.parametrize("spelling", ["Application.properties", "APPLICATION", "application.Properties"])
    def test_the_spelling_of_a_notification_does_not_matter(self, apollo, component, spelling):
        apollo.release("application", {"a": "0"})
        view = component().view(spelling)
        wait_until(lambda: len(polls(apollo)) == 2)
        apollo.release("application", {"a": "1"})
        wait_until(lambda: view["a"] == "1")

        assert "1" == view["a"]

    def test_rollback_gray_release_and_deletion_are_seen(self, apollo, component):
        apollo.release("application", {"a": "1"})
        apollo.release("application", {"a": "2"})
        place, view = apollo.place("application"), component(client_label="beta").view()
        seen = [dict(view)]
        for change, wanted in (
            (apollo.store.roll_back, {"a": "1"}),
            (lambda one: apollo.store.branch(one, {"a": "gray"}, ips=set(), labels={"beta"}), {"a": "gray"}),
            (apollo.store.remove, {}),
        ):
            change(place)
            wait_until(lambda wanted=wanted: dict(view) == wanted)
            seen.append(dict(view))

        assert [{"a": "2"}, {"a": "1"}, {"a": "gray"}, {}] == seen

    def test_messages_reach_behind_the_cache_of_a_server(self, apollo, component):
        apollo.cached = True
        apollo.release("application", {"a": "0"})
        view = component().view()
        wait_until(lambda: len(polls(apollo)) == 2)
        apollo.release("application", {"a": "1"})
        wait_until(lambda: view["a"] == "1")

        assert "1" == view["a"]

    def test_several_applications_and_clusters_are_watched_at_once(self, apollo, component):
        one = component()
        views = {
            (app, cluster): one.view(application=app, label=cluster)
            for app in ("shop", "bank")
            for cluster in ("", "blue")
        }
        time.sleep(0.2)
        for app, cluster in views:
            apollo.release("application", {"a": f"{app} {cluster}"}, app=app, cluster=cluster or "default")
        wait_until(lambda: all(view.get("a") == f"{app} {cluster}" for (app, cluster), view in views.items()))

        assert {("shop", "default"), ("shop", "blue"), ("bank", "default"), ("bank", "blue")} == {
            (query["appId"][0], query["cluster"][0]) for query in queries(apollo, "/notifications")
        }

    def test_numbers_of_a_restored_database_are_noticed(self, apollo, component):
        apollo.hold_s = 0.2
        apollo.store.messages.clear()
        apollo.release("application", {"a": "0"})
        view = component(refresh_s=1.0).view()
        wait_until(lambda: len(polls(apollo)) >= 2)
        with apollo.store.changed:
            apollo.store.messages["app+default+application"] = 3  # less than the client knows
        apollo.store.releases[apollo.place("application")].append(
            apollo.store._release(apollo.place("application"), {"a": "restored"})
        )
        wait_until(lambda: view["a"] == "restored")

        assert "restored" == view["a"]

    def test_a_malformed_notification_is_an_error(self, apollo, connect):
        apollo.release("application", {"a": "1"})
        for how in ("html", "garbage", "500", "truncated"):
            apollo.break_answers(how, of="/notifications")
            driver = connect()
            with pytest.raises(Exception) as raised:
                driver.watch({HOME: ""}, 5)

            assert isinstance(raised.value, UnavailableError) or driver.name_error(raised.value)

    def test_news_that_could_not_be_read_stay_news(self, apollo, connect):
        apollo.release("application", {"a": "1"})
        driver = connect()
        apollo.break_answers("500", of="/configs")
        with pytest.raises(UnavailableError):
            driver.watch({HOME: ""}, 5)
        apollo.break_answers("")

        assert {HOME: driver.version(HOME)} == driver.watch({HOME: ""}, 1)

    def test_news_of_one_poll_outlive_the_error_of_another(self, apollo, connect):
        for app in ("app", "shop"):
            apollo.release("application", {"a": "1"}, app=app)
        driver, scopes = connect(), (HOME, Scope("shop"))
        driver.watch(dict.fromkeys(scopes, ""), 5)
        known = {scope: driver.version(scope) for scope in scopes}
        driver.watch(known, 1.0)
        apollo.break_answers("garbage", of="/notifications/v2?appId=shop")
        for app in ("app", "shop"):
            apollo.release("application", {"a": "2"}, app=app)
        time.sleep(0.5)  # both answers have come when the watch goes on
        with pytest.raises(UnavailableError):
            driver.watch(known, 5)

        assert HOME in driver.watch(known, 5)

    def test_a_forked_child_watches_by_itself(self, apollo, tmp_path):
        apollo.release("application", {"a": "0"})
        settings = {"configuration": {"default": {"driver": "apollo", "url": apollo.url, "app_id": "app"}}}
        with Runtime(settings, start=tmp_path, environ={}) as runtime:
            view = runtime.configuration().view()
            wait_until(lambda: len(polls(apollo)) == 2)
            child = Child(lambda: wait_until(lambda: view["a"] == "1"))
            wait_until(lambda: len(polls(apollo)) >= 3)
            apollo.release("application", {"a": "1"})
            child.result()
            wait_until(lambda: view["a"] == "1")

    @pytest.mark.quiet
    def test_closing_ends_the_poll(self, apollo, component):
        before = _threads_of_capa()
        one = component()
        one.view()
        wait_until(lambda: polls(apollo))
        started = time.monotonic()
        one.close()
        took_s = time.monotonic() - started

        assert took_s < 2
        assert set() == _threads_of_capa() - before


def _threads_of_capa():
    return {thread for thread in threading.enumerate() if thread.name.startswith("capa-")}


class TestTls:
    @pytest.fixture
    def certificate(self, tmp_path):
        return make_certificate(tmp_path)

    def test_values_and_polls_go_over_tls(self, certificate, component):
        server = ApolloServer(*certificate)
        try:
            server.release("application", {"a": "0"})
            one = component(url=server.url, verify=str(certificate[0]))
            view = one.view()
            wait_until(lambda: len(polls(server)) == 2)
            late = one.view("late")  # a poll that is held does not keep the watch from taking a new group
            wait_until(lambda: len(polls(server)) == 3)
            server.release("application", {"a": "1"})
            server.release("late", {"b": "1"})
            wait_until(lambda: (view["a"], late.get("b")) == ("1", "1"))
        finally:
            server.stop()

        assert server.url.startswith("https://")

    def test_an_unknown_certificate_is_refused(self, certificate, connect):
        server = ApolloServer(*certificate)
        try:
            with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
                connect(url=server.url).get(HOME)
        finally:
            server.stop()


class TestWriting:
    def test_a_save_is_one_release(self, apollo, writable):
        apollo.release("application", {"kept": "1"})
        configuration = Configuration(writable)
        before = len(apollo.store.log)
        configuration.save({"a": "1", "b/c?": "2"})

        assert {"kept": "1", "a": "1", "b/c?": "2"} == values(writable)
        assert 1 == len(apollo.store.log) - before

    def test_a_cluster_and_a_namespace_are_created(self, apollo, writable):
        configuration = Configuration(writable)
        configuration.save({"a": "blue"}, label="blue", group="db")
        configuration.save_document('{"a": 1}', label="blue", group="limits.json")

        assert {"a": "blue"} == values(writable, Scope(group="db", label="blue"))
        assert '{"a": 1}' == writable.get(Scope(group="limits.json", label="blue")).content
        assert {} == values(writable, Scope(group="db"))

    def test_keys_of_a_json_document_are_edited(self, apollo, writable):
        apollo.release("limits.json", '{"a": {"b": 1}, "c": 2}')
        configuration = Configuration(writable)
        configuration.save({"a.b": "3"}, group="limits.json")
        configuration.delete(["c"], group="limits.json")

        assert {"a": {"b": 3}} == json.loads(writable.get(Scope(group="limits.json")).content)

    def test_properties_as_a_document_replace_the_whole(self, apollo, writable):
        apollo.release("application", {"gone": "1", "a": "1"})
        Configuration(writable).save_document("a = 2\nb = 3\n", group="application.properties")

        assert {"a": "2", "b": "3"} == values(writable)

    @pytest.mark.parametrize(
        ("call", "error"),
        [
            (lambda one: one.save({"a": "x" * 20_001}), InvalidArgumentError),
            (lambda one: one.save({"k" * 129: "x"}), InvalidArgumentError),
            (lambda one: one.save({"a": "1"}, application="nowhere"), NotFoundError),
            (lambda one: one.save_document("a = 1", group="a.toml"), UnsupportedError),
        ],
    )
    def test_what_the_server_refuses_is_named(self, writable, call, error):
        with pytest.raises(error):
            call(Configuration(writable))

    def test_a_wrong_token_is_refused(self, apollo, connect):
        apollo.store.create("app", "default", "application")
        with pytest.raises(PermissionDeniedError, match="Correct `token`"):
            Configuration(connect(portal=apollo.url, token="wrong")).save({"a": "1"})

    def test_without_a_portal_it_only_reads(self, connect):
        driver = connect()
        names = [ConfigurationFeature.SAVE, ConfigurationFeature.DELETE, ConfigurationFeature.INSPECT]

        assert [False, False, False] == [bool(driver.features[name]) for name in names]
        with pytest.raises(UnsupportedError, match="no `portal` is set"):
            Configuration(driver).save({"a": "1"})

    def test_a_release_that_a_cache_shows_late_is_awaited(self, apollo, writable):
        apollo.release("application", {"a": "0"})
        writable.get(HOME)
        apollo.cached = True
        writable.get(HOME)
        timer = threading.Timer(0.5, apollo.cache.clear)
        timer.start()
        version = Configuration(writable).save({"a": "1"})
        timer.join()

        assert ({"a": "1"}, version) == (values(writable), writable.version(HOME))

    def test_ping_names_server_application_and_environment(self, apollo, writable):
        said = f"Apollo at {apollo.url}: app 'app' in cluster 'default', written through DEV of its portal"

        assert said == writable.ping()


class TestTheLog:
    def test_values_are_in_no_log(self, apollo, component, caplog):
        caplog.set_level(logging.DEBUG)
        apollo.release("application", {"password": "hunter2"})
        view = component().view()
        apollo.break_answers("garbage")
        wait_until(lambda: len(apollo.seen) > 3)

        assert "hunter2" == view["password"]
        assert "hunter2" not in caplog.text
