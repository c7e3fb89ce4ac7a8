"""The loopback guard refuses every address but this machine's."""

import socket

import pytest
from loopback import is_loopback


def test_a_connection_to_the_outside_is_an_error_that_names_it():
    with socket.socket() as outside, pytest.raises(RuntimeError, match=r"tried to reach 192\.0\.2\.1"):
        outside.connect(("192.0.2.1", 80))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "orders.localhost"])
def test_loopback_is_recognised(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "fe80::1", "example.org", "localhost.example.org"])
def test_other_addresses_are_not_loopback(host):
    assert not is_loopback(host)
