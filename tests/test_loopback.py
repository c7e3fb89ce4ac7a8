"""No test reaches beyond this machine."""

import socket

import pytest
from loopback import is_here


def test_a_connection_to_the_outside_is_an_error_that_names_it():
    with socket.socket() as outside, pytest.raises(RuntimeError, match=r"wanted to reach 192\.0\.2\.1"):
        outside.connect(("192.0.2.1", 80))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "orders.localhost"])
def test_loopback_is_here(host):
    assert is_here(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "fe80::1", "example.org", "localhost.example.org"])
def test_all_else_is_outside(host):
    assert not is_here(host)
