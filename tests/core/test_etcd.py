"""etcd: several members, users, refusals, and answers of strangers."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from capa_core import Runtime
from capa_core.blocks.state import Put, State
from capa_core.components.etcd.state import EtcdState, EtcdStateSettings
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import (
    DeadlineError,
    InvalidArgumentError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
)

pytestmark = [pytest.mark.server("etcd"), pytest.mark.timeout(120)]
NOBODY = "http://127.0.0.1:9"


def state(**settings):
    return State(EtcdState(EtcdStateSettings(**settings)), name="etcd")


def test_the_first_member_that_can_be_reached_answers(etcd_settings):
    with state(**etcd_settings | {"url": [NOBODY, etcd_settings["url"]]}) as several:
        several.put("k", b"v")

        assert b"v" == several.get("k")
        assert several.ping().startswith("etcd 3.")


def test_a_server_that_is_down_is_named(etcd_settings):
    with (
        state(**etcd_settings | {"url": NOBODY}) as down,
        pytest.raises(UnavailableError, match=r"state 'etcd'.*127\.0\.0\.1:9"),
    ):
        down.get("k")


def test_a_server_that_is_silent_costs_the_deadline(start_etcd):
    server = start_etcd()
    with state(url=server.url, timeout_s=0.5) as silent:
        silent.put("k", b"v")
        server.pause()
        started = time.monotonic()
        with pytest.raises((DeadlineError, UnavailableError)):
            silent.get("k")
        took_s = time.monotonic() - started
        server.resume()

    assert took_s < 15


def test_a_killed_member_keeps_what_it_has_acknowledged(start_etcd):
    server = start_etcd()
    with state(url=server.url) as kept:
        etags = {str(number): kept.put(str(number), b"v") for number in range(50)}
        server.kill()
        server.start()

        assert etags == {key: item.etag for key, item in kept.get_items(list(etags)).items()}


def test_a_wait_goes_on_when_the_member_is_started_again(start_etcd):
    server = start_etcd()
    seen = []
    with state(url=server.url) as waiting:
        etag = waiting.put("k", b"1")
        thread = threading.Thread(target=lambda: seen.append(wait_in_spite_of_errors(waiting, etag)))
        thread.start()
        time.sleep(0.3)
        server.kill()
        server.start()
        wait_until(lambda: waiting.put("k", b"2", notify=True))
        thread.join(30)

    assert [b"2"] == seen


def wait_in_spite_of_errors(waiting, etag):
    while True:
        try:
            return waiting.wait("k", etag=etag, timeout=30).value
        except UnavailableError:
            time.sleep(0.1)


def test_users_and_passwords(start_etcd):
    server = start_etcd()
    administrator = EtcdState(EtcdStateSettings(url=server.url))
    for path, body in {
        "role/add": {"name": "root"},
        "user/add": {"name": "root", "password": "secret"},
        "user/grant": {"user": "root", "role": "root"},
        "enable": {},
    }.items():
        administrator.client.call(f"/v3/auth/{path}", body)
    administrator.close()
    driver = EtcdState(EtcdStateSettings(url=server.url, user="root", password="secret"))
    with State(driver, name="etcd") as known:
        known.put("k", b"v")
        driver.client._token = "of a member that has forgotten it"

        assert b"v" == known.get("k")
    for given in ({}, {"user": "root", "password": "wrong"}):
        with (
            state(url=server.url, **given) as stranger,
            pytest.raises(PermissionDeniedError, match="`user` and `password` of the component") as caught,
        ):
            stranger.get("k")
        assert "wrong" not in str(caught.value)


def test_a_value_over_the_limit_of_the_cluster_is_refused_with_its_words(etcd_settings):
    driver = EtcdState(EtcdStateSettings(**etcd_settings, max_request_bytes=8_000_000))
    with (
        State(driver, name="etcd") as larger,
        pytest.raises(InvalidArgumentError, match="request is too large"),
    ):
        larger.put("k", b"x" * 2_000_000)


def test_many_large_values_are_written_in_several_requests(etcd_settings):
    with state(**etcd_settings) as many:
        values = {str(number): bytes([number]) * 400_000 for number in range(10)}
        many.put_many(values)

        assert values == {key: item.value for key, item in many.get_items(list(values)).items()}


def test_more_keys_than_a_transaction_may_have_are_read_and_deleted(etcd_settings):
    keys = [str(number) for number in range(300)]
    with state(**etcd_settings) as many:
        many.put_many(dict.fromkeys(keys, b"v"))

        assert 300 == len(many.get_items(keys)) == many.delete_many(keys)


def test_an_etag_of_another_engine_matches_nothing(etcd_settings):
    driver = EtcdState(EtcdStateSettings(**etcd_settings))
    driver.put(Put("k", b"v"))

    assert driver.put(Put("k", b"w", if_etag="not a number")) is None
    driver.close()


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b"", json.dumps({"kvs": 1}).encode()])
def test_an_answer_of_a_stranger_is_an_error_that_says_so(answer):
    class Stranger(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    threading.Thread(target=server.serve_forever).start()
    try:
        with (
            state(url=f"http://127.0.0.1:{server.server_port}") as strange,
            pytest.raises(UnavailableError, match="another server may listen there"),
        ):
            strange.get("k")
    finally:
        server.shutdown()
        server.server_close()


def test_all_blocks_through_the_runtime(etcd_server, tmp_path):
    tables = {
        block: {"default": {"driver": "etcd", "url": etcd_server.url, "prefix": f"{tmp_path.name}-{block}/"}}
        for block in ("state", "sequencer", "configuration")
    }
    with Runtime(tables, start=tmp_path, environ={}) as runtime:
        runtime.state().put("k", b"v")
        runtime.configuration().save({"a": "1"})

        assert (1, b"v") == (runtime.sequencer().next("n"), runtime.state().get("k"))


@pytest.mark.parametrize("url", ["etcd:2379", "http://user:secret@host:2379", []])
def test_a_malformed_address_is_refused_at_once(url):
    with pytest.raises((SettingsError, ValueError)) as caught:
        state(url=url)

    assert "secret" not in str(caught.value)
