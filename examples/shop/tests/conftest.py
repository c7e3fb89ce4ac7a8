"""Each test has databases of its own; Apollo and the catalogue are real servers on this machine."""

import os
import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from local_apollo import LocalApollo
from werkzeug.serving import make_server

from shop import celery_app, remote_config, settings
from shop.catalog.seed import seed
from shop.orders import client, store
from shop.serve import build

HERE = Path(__file__).resolve().parent
POLLS_OUTLAST_A_TEST = 20
"""A poll of at most so many seconds is held for longer than a test takes."""


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def apollo(tmp_path_factory):
    """A local Apollo that serves a copy of `config/`; the copy's folder is the working directory."""
    work = tmp_path_factory.mktemp("work")
    before = Path.cwd()
    shutil.copytree(HERE.parent / "config", work / "config")
    os.chdir(work)
    with serving(LocalApollo(("127.0.0.1", 0), work / "config")) as server:
        os.environ["APOLLO_CONFIG_URL"] = server.url
        yield server
        remote_config.reset()
        server.stop_holding()
    os.chdir(before)


@pytest.fixture
def change_config(apollo):
    """Return a function that changes one value of the namespace `application` until the test ends."""
    path = apollo.folder / "application.properties"
    original = path.read_text()

    def write(text):
        new = path.with_suffix(".new")  # nobody must read half of it
        new.write_text(text)
        new.replace(path)

    def change(key, value):
        rest = [line for line in path.read_text().splitlines() if not line.startswith(key + " ")]
        write("\n".join([*rest, "{} = {}".format(key, value), ""]))
        wait_until(lambda: remote_config.text(key) == value)

    yield change
    write(original)
    for line in original.splitlines():
        key, found, value = line.partition(" = ")
        if found:
            wait_until(lambda key=key, value=value: remote_config.text(key) == value)


def let_the_client_poll(apollo):
    """Return when the client waits for news, for long enough: a test may replace `requests`, which it polls with."""
    remote_config.client()
    if apollo.polled:
        young = time.monotonic() - POLLS_OUTLAST_A_TEST
        apollo.answer_polls_before(young)
        wait_until(lambda: is_up_to_date(apollo, list(apollo.polls.values()), young))


def is_up_to_date(apollo, polls, since):
    return bool(polls) and not any(came < since or apollo.changed(known) for came, known in polls)


def wait_until(condition, seconds=30):
    pause = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("still not so after {} s".format(seconds))


@pytest.fixture(autouse=True)
def own_data(tmp_path, monkeypatch, apollo):
    for name in ("CATALOG_URL", "ORDERS_URL", "SHOP_BROKER_URL", "SHOP_RESULT_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SHOP_DATA", str(tmp_path))
    settings.current.cache_clear()
    client.forget_session()
    store.init()
    seed(stock=20)
    let_the_client_poll(apollo)
    yield tmp_path
    settings.current.cache_clear()


@pytest.fixture(autouse=True)
def eager():
    """Run tasks at once, in this process."""
    celery_app.conf.task_always_eager = True
    celery_app.conf.task_eager_propagates = False
    celery_app.conf.task_store_eager_result = False


@pytest.fixture
def catalog_web():
    return build("catalog").test_client()


@pytest.fixture
def orders_web():
    return build("orders").test_client()


@pytest.fixture
def running_catalog(monkeypatch):
    """The catalogue on a port of its own, where the order desk finds it."""
    with serving(make_server("127.0.0.1", 0, build("catalog"), threaded=True)) as server:
        url = "http://127.0.0.1:{}".format(server.server_port)
        monkeypatch.setenv("CATALOG_URL", url)
        settings.current.cache_clear()
        yield url


@pytest.fixture
def order():
    """Return a function that stores an order for the given lines."""

    def add(order_id="o1", callback_url=None, **quantities):
        lines = [
            {"sku": sku.replace("_", "-"), "quantity": n, "price_cents": 100, "weight_grams": 10 * n}
            for sku, n in quantities.items()
        ]
        store.add(order_id, "ann@example.com", {"lines": lines, "total_cents": 100}, callback_url)
        return order_id

    return add
