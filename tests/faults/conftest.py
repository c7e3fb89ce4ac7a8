"""A Redis server for each test, and a proxy in front of it that can stall or cut connections."""

import pytest
from tcp_proxy import TcpProxy


@pytest.fixture
def server(start_redis):
    return start_redis()


@pytest.fixture
def proxy(server):
    with TcpProxy.to(server.port) as proxy:
        yield proxy
