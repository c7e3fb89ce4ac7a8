"""Workers of Celery that tests kill, a Redis server for each test, and a proxy that can stall or cut connections."""

import pytest
from celery_fleet import fleet
from tcp_proxy import TcpProxy

__all__ = ["fleet"]


@pytest.fixture
def server(start_redis):
    return start_redis()


@pytest.fixture
def proxy(server):
    with TcpProxy.to(server.port) as proxy:
        yield proxy
