"""`requests.adapters`, with an `HTTPAdapter` whose back half is Capa's.

Names that are not defined here are the original module's own, for reading and for patching.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any

import requests.adapters as _original
import urllib3.exceptions
from requests.exceptions import ConnectTimeout, InvalidURL
from requests.models import PreparedRequest, Response
from requests.utils import select_proxy
from urllib3._collections import RecentlyUsedContainer
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.poolmanager import PoolManager as _PoolManager
from urllib3.response import HTTPResponse
from urllib3.util.retry import Retry as _Retry

from capa_core import shims
from capa_requests import _deadline, _delegation, _originals, _reading, _response, _services, _urls
from capa_requests._errors import as_requests_error
from capa_requests._exchange import Exchange
from capa_requests._pools import Pools
from capa_requests._settings import settings
from capa_requests._wire import exchange

if TYPE_CHECKING:
    from requests.adapters import BaseAdapter as BaseAdapter  # noqa: PLC0414 - exported
    from requests.adapters import Retry as Retry  # noqa: PLC0414

    def __getattr__(name: str) -> Any: ...


_SAFE_TO_REPEAT = {"GET", "HEAD", "OPTIONS"}

_alive: weakref.WeakSet[HTTPAdapter] = weakref.WeakSet()


class HTTPAdapter(_original.HTTPAdapter):
    """The original's adapter: same arguments, pools and exceptions.

    A host that capa.toml names as a service is reached through Capa. Every other is reached over the adapter's
    own urllib3 pools: by a faster path than the original's unless a function that this path skips has been
    replaced (see `_originals`) or a proxy is used.
    """

    #: Whether connections are shared by unrelated calls (see `Exchange`).
    _shared = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take the original's arguments."""
        super().__init__(*args, **kwargs)
        self._pools = Pools()
        _alive.add(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[misc]
        self._pools = Pools()
        _alive.add(self)

    @shims.with_signature_of(_original.HTTPAdapter.send)
    def send(self, *args: Any, **kwargs: Any) -> Response:
        """Send a prepared request and return the answer, as the original does.

        `timeout` is as in the original. A call that was given none has the deadline of the settings.

        Raises:
            RequestException: The original raises it for the same failure.
        """
        # Not by the name `HTTPAdapter`, which tests replace.
        following: Any = super(__class__, type(self))  # type: ignore[name-defined]
        # Replaced, or of a class in between: `class Both(OurAdapter, TheirAdapter)`.
        if following.send is not _originals.adapter_send:
            call = (self, args[0] if args else kwargs.get("request"))
            if not _delegation.is_in_progress(call):
                with _delegation.delegating(call):
                    return super().send(*args, **kwargs)
        if _deadline.in_progress():
            return self._dispatch(*args, **kwargs)
        settled = settings()
        if settled.is_legacy:
            return _originals.adapter_send(self, *args, **kwargs)
        token = _deadline.begin(_deadline.given(args, kwargs, 2), settled)
        try:
            return self._dispatch(*args, **kwargs)
        finally:
            _deadline.end(token)

    def _dispatch(  # noqa: PLR0917 - the original's, as they come
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Response:
        url = request.url or ""
        address = _urls.address(url)
        if (found := _services.find(address, url)) is not None:
            return _services.send(*found, self, request, stream=stream, timeout=timeout)
        limits = _limits(timeout)
        if address is None or limits is None or not self._can_use_fast_path(request, proxies):
            timeout = _timeout_until_deadline(request, timeout)
            return _originals.adapter_send(self, request, stream, timeout, verify, cert, proxies)
        pool = self._pool(request, address, verify, cert)
        self.cert_verify(pool, request.url, verify, cert)  # type: ignore[no-untyped-call]
        builds_as_the_original = _originals.ADAPTER_BUILDING.inherited_by(self)
        if not builds_as_the_original:
            self.add_headers(
                request, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=proxies
            )
        raw = self._exchange(pool, request, address.target, limits)
        if stream:
            _reading.unbind(raw._fp, *_deadline.body_limits(limits[1]))
        if builds_as_the_original:
            return _response.build(self, request, raw)
        return self.build_response(request, raw)

    def _can_use_fast_path(self, request: PreparedRequest, proxies: Any) -> bool:
        return (
            _originals.WIRE.unchanged()
            and _originals.ADAPTER_CONNECTING.inherited_by(self)
            and not (proxies and select_proxy(str(request.url), proxies))
            and type(self.poolmanager) is _PoolManager
            and isinstance(self.max_retries, _Retry)  # type: ignore[redundant-expr] # or a mock
            # The original rewinds a file before it sends it again.
            and (not self.max_retries.total or request.body is None or isinstance(request.body, bytes | str))
        )

    def _exchange(
        self, pool: HTTPConnectionPool, request: PreparedRequest, target: str, limits: tuple[Any, Any]
    ) -> HTTPResponse:
        body, method = request.body, str(request.method)
        repeatable = method in _SAFE_TO_REPEAT and (body is None or isinstance(body, bytes | str))
        chunked = not (body is None or "Content-Length" in request.headers)
        connect_timeout, read_timeout = limits
        # By name it takes twice as long.
        outgoing = Exchange(
            method, target, request.headers, body, chunked, connect_timeout, read_timeout,
            _deadline.ends_at(), repeatable, self._shared,
        )  # fmt: skip
        try:
            return exchange(pool, outgoing, self.max_retries)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            translated = as_requests_error(error, request)
            if translated is error:
                raise
            raise translated from error

    def _pool(self, request: PreparedRequest, address: _urls.Address, verify: Any, cert: Any) -> Any:
        secure = address.scheme == "https"
        folder = secure and isinstance(verify, str) and os.path.isdir(verify)  # noqa: PTH112 - half the cost
        place = (address.scheme, address.host, address.port, verify, folder)
        plain = cert is None and isinstance(verify, bool | str)
        pool: Any = self._pools.find(self.poolmanager, place) if plain else None
        if pool is None:
            try:
                pool = self.get_connection_with_tls_context(request, verify, proxies=None, cert=cert)
            except urllib3.exceptions.LocationValueError as error:
                raise InvalidURL(error, request=request) from error
            if plain:
                host, tls = self.build_connection_pool_key_attributes(request, verify)
                self._pools.remember(self.poolmanager, place, {**host, **tls})
        return pool

    def _forget_connections(self) -> None:
        """Start without connections, and leave the old ones alone: in a forked child, they are the parent's."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            # Not cleared: the lock of the old container may be held by a thread that is not in this process.
            manager.pools = RecentlyUsedContainer(manager.pools._maxsize)


def _after_fork() -> None:
    for adapter in list(_alive):
        adapter._forget_connections()


os.register_at_fork(after_in_child=_after_fork)


def _limits(timeout: Any) -> tuple[float | None, float | None] | None:
    """Return the timeouts to connect and to read; `None` for values that the original must judge."""
    connect, read = timeout if isinstance(timeout, tuple) and len(timeout) == 2 else (timeout, timeout)
    for value in (connect, read):
        if value is not None and (type(value) not in {int, float} or value <= 0):
            return None
    return connect, read


def _timeout_until_deadline(request: PreparedRequest, timeout: Any) -> Any:
    """Return the timeouts that keep the original's path near the deadline: each wait ends when the call must."""
    ends_at, limits = _deadline.ends_at(), _limits(timeout)
    if limits is None or ends_at is None:
        return timeout
    connect, read = limits
    try:
        return (
            _deadline.at_most(connect, _deadline.connect_s(ends_at)),
            _deadline.at_most(read, _deadline.left_s(ends_at)),
        )
    except TimeoutError as error:
        raise ConnectTimeout(str(error), request=request) from error


shims.mirror(__name__, _original)
