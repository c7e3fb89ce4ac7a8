"""Values that operations change while the shop runs; they live in Apollo.

Nothing here is kept by callers: ask again each time, the client holds the newest values.
"""

import json
import logging
import threading
from decimal import Decimal, InvalidOperation
from typing import Any, Dict, Optional

from pyapollos.apollo_client import ApolloClient

from shop import settings

log = logging.getLogger(__name__)

# Above the 60 s for which Apollo holds a poll, or each quiet minute would look like an outage.
POLL_TIMEOUT = 90
TRUE_WORDS = frozenset({"1", "true", "yes", "on"})

_lock = threading.Lock()
_client: Optional[ApolloClient] = None


def client() -> ApolloClient:
    """Return this process's client, started on first use."""
    global _client
    if _client is None:
        with _lock:
            if _client is None:
                _client = _start()
    return _client


def reset() -> None:
    """Forget the client: a forked process starts its own, since threads do not cross a fork."""
    global _client
    if _client is not None:
        _client.stop()
    _client = None


def text(key: str, default: str = "") -> str:
    return str(client().get_value(key, default))


def flag(key: str, default: bool = False) -> bool:
    return text(key, str(default)).strip().lower() in TRUE_WORDS


def number(key: str, default: int) -> int:
    raw = text(key, str(default))
    try:
        return int(raw)
    except ValueError:
        log.warning("Apollo key %s is %r, not a whole number; using %d", key, raw, default)
        return default


def amount(key: str, default: str) -> Decimal:
    raw = text(key, default)
    try:
        return Decimal(raw)
    except InvalidOperation:
        log.warning("Apollo key %s is %r, not an amount; using %s", key, raw, default)
        return Decimal(default)


def document(namespace: str) -> Dict[str, Any]:
    """Return a JSON namespace. Apollo keeps the text of one under the key `content`."""
    content = client().get_value("content", "{}", namespace=namespace)
    return json.loads(content)


def _start() -> ApolloClient:
    config = settings.current()
    new = ApolloClient(
        app_id=config.apollo_app_id,
        cluster=config.apollo_cluster,
        config_server_url=config.apollo_url,
        timeout=POLL_TIMEOUT,
        ip="127.0.0.1",
    )
    # The client's listener inherits `daemon` from the thread that starts it; started from the main
    # thread it would keep a stopping process alive until the poll returns.
    starter = threading.Thread(target=new.start, kwargs={"catch_signals": False}, daemon=True)
    starter.start()
    starter.join()
    return new
