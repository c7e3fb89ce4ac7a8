"""A Redis of the test's own, and a proxy in front of it that can go silent or cut."""

import pytest
from tcp_proxy import TcpProxy


@pytest.fixture
def server(start_redis):
    return start_redis()


@pytest.fixture
def proxy(server):
    with TcpProxy.to(server.port) as proxy:
        yield proxy
