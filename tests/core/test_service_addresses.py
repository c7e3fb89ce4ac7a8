"""The HTTP addresses that mean a service: its name, and its `legacy` addresses in any spelling and by path."""

import pytest

from capa_core import Runtime, Service
from capa_core.errors import SettingsError


def _runtime(**legacy):
    return Runtime.in_memory(
        {"invocation": {name: {"driver": "memory", "legacy": given} for name, given in legacy.items()}}
    )


@pytest.mark.parametrize("how", ["table", "hosted"])
def test_a_name_is_a_host_of_plain_http_at_its_port_and_no_other(how):
    runtime = _runtime(Orders=[]) if how == "table" else Runtime.in_memory()
    if how == "hosted":
        runtime.host(Service("Orders"), name="Orders")

    assert ("Orders", "/x?y=1") == runtime.service_for("orders", 80, "/x?y=1")
    assert ("Orders", "/x") == runtime.service_for("orders.", 80, "/x")
    assert (None, None) == (
        runtime.service_for("orders", 443, "/x"),
        runtime.service_for("orders", 9999, "/x"),
    )


@pytest.mark.parametrize(
    ("legacy", "host", "port"),
    [
        ("http://old.internal", "old.internal", 80),
        ("http://old.internal:80/", "old.internal", 80),
        ("https://old.internal", "old.internal", 443),
        ("https://old.internal:443", "old.internal", 443),
        (" HTTP://Old.Internal", "old.internal", 80),
        ("http://old.internal.", "old.internal", 80),
        ("http://old.internal", "old.internal.", 80),
        ("http://user:p%40ss@old.internal:8000", "old.internal", 8000),
        ("http://[FD00::1]", "fd00::1", 80),
        ("http://[fd00::1]:8000", "fd00::1", 8000),
        ("http://bücher.internal", "xn--bcher-kva.internal", 80),
        ("old.internal:8000", "old.internal", 8000),
        ("old.internal", "old.internal", 80),
        ("old.internal", "old.internal", 443),
    ],
)
def test_a_legacy_address_is_found_in_any_spelling(legacy, host, port):
    runtime = _runtime(catalog=[legacy])

    assert ("catalog", "/x") == runtime.service_for(host, port, "/x")
    assert runtime.service_for(host, port + 1, "/x") is None


def test_tls_and_another_port_are_found_where_a_legacy_address_lists_them():
    runtime = _runtime(catalog=["https://catalog", "http://catalog:8000"])

    assert [("catalog", "/")] * 3 == [runtime.service_for("catalog", port, "/") for port in (80, 443, 8000)]


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("/catalog/x?a=1", ("catalog", "/x?a=1")),
        ("/catalog", ("catalog", "/")),
        ("/catalog/", ("catalog", "/")),
        ("/catalog?a=/b/..", ("catalog", "/?a=/b/..")),
        ("/catalog/books/7", ("books", "/7")),
        ("/catalog/books", ("books", "/")),
        ("/catalog/bookshelf", ("catalog", "/bookshelf")),
        ("/orders/..x", ("orders", "/..x")),
        ("/my%20shop/x", ("shop", "/x")),
        ("/catalogue", None),
        ("/catalog/../health", None),
        ("/Catalog/x", None),
        ("/", None),
    ],
)
def test_the_longest_path_by_whole_segments_decides_and_is_replaced(target, found):
    runtime = _runtime(
        catalog=["http://gw.internal:8000/catalog"],
        books=["http://gw.internal:8000/catalog/books/"],
        orders=["http://gw.internal:8000/orders"],
        shop=["http://gw.internal:8000/my shop"],
    )

    assert found == runtime.service_for("gw.internal", 8000, target)


def test_a_whole_host_serves_the_paths_that_no_other_service_has():
    runtime = _runtime(gateway=["http://gw.internal"], orders=["http://gw.internal/orders"])

    assert ("orders", "/7") == runtime.service_for("gw.internal", 80, "/orders/7")
    assert ("gateway", "/health") == runtime.service_for("gw.internal", 80, "/health")


@pytest.mark.parametrize(
    ("legacy", "message"),
    [
        ({"a": ["http://gw/x"], "b": ["http://gw:80/x/"]}, "b.legacy: .*gw:80/x already stands for .*'a'"),
        ({"a": ["http://gw:443"], "b": ["https://GW"]}, "b.legacy: gw:443 already stands for .*'a'"),
        ({"a": ["gw:8000"], "b": ["http://gw:8000"]}, "b.legacy: gw:8000 already stands for .*'a'"),
        ({"a": ["http://b"], "b": []}, "b: b:80 already stands for .*'a'"),
        ({"A": [], "a": []}, "a: a:80 already stands for .*'A'"),
    ],
)
def test_two_services_may_not_claim_one_place(legacy, message):
    with pytest.raises(SettingsError, match=rf"invocation\.{message}. Remove one"):
        _runtime(**legacy).service_for("elsewhere", 80, "/")


@pytest.mark.parametrize(
    "address", ["http://h:port", "h:port", "h:99999", "http://[::1", "http://", "/catalog"]
)
def test_a_malformed_legacy_address_of_a_service_names_the_setting(address):
    with pytest.raises(SettingsError, match=r"invocation\.catalog\.legacy: .* is not an address"):
        _runtime(catalog=[address]).service_for("elsewhere", 80, "/")
