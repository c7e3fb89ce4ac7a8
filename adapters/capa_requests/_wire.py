"""One request over a connection of urllib3's pool, below `HTTPConnectionPool.urlopen`.

Pools, connections, sockets and TLS are urllib3's own, so the original's path and this one share them; the
connection itself writes the request and builds the answer. Left out are the steps that `urlopen` repeats around
them (copying timeouts and headers, encoding the target), and the e-mail parser (see `_reading`).
Failures and retries are counted by the same `Retry` object, and so end in the same exceptions.
"""

from __future__ import annotations

import errno
import sys
from http.client import BadStatusLine, HTTPException
from ssl import SSLEOFError, SSLError, SSLZeroReturnError
from time import monotonic
from typing import Any

import urllib3.exceptions
from urllib3.connectionpool import HTTPConnectionPool, log
from urllib3.response import HTTPResponse
from urllib3.util.retry import Retry
from urllib3.util.ssl_match_hostname import CertificateError

from capa_requests import _deadline, _originals, _plain
from capa_requests._exchange import Exchange
from capa_requests._reading import WireResponse, begin_body

#: The server may have answered before it closed the connection: the answer is worth reading.
_ANSWER_MAY_BE_THERE = {errno.EPIPE, errno.EPROTOTYPE, errno.ECONNRESET}

#: Failures of a kept connection that the server has closed, or on which it left other bytes than a response.
_STALE = (ConnectionError, BadStatusLine, SSLEOFError, SSLZeroReturnError)

#: Some servers send a body where HTTP has none. It would be read as the next answer.
_BODYLESS = {204, 304}

_FAILURES = (
    urllib3.exceptions.TimeoutError,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.SSLError,
    CertificateError,
    HTTPException,
    OSError,
)


def exchange(pool: HTTPConnectionPool, request: Exchange, retries: Retry) -> HTTPResponse:
    """Send *request* over a connection of *pool* and return the answer, its body unread.

    Raises:
        urllib3.exceptions.MaxRetryError: It failed as often as *retries* allows; `reason` is the last failure.
        urllib3.exceptions.ReadTimeoutError: The server did not answer in time.
        urllib3.exceptions.ProtocolError: The connection broke.
        urllib3.exceptions.PoolError: The pool is closed, or all its connections are in use.
    """
    while True:
        try:
            response = _attempt(pool, request)
        except _FAILURES as error:
            failure = _named(error)
            retries = retries.increment(
                request.method, request.target, error=failure, _pool=pool, _stacktrace=sys.exc_info()[2]
            )
            retries.sleep()
            log.warning("Retrying (%r) after connection broken by '%r': %s", retries, failure, request.target)
            continue
        response.retries = retries
        headers = response.headers
        says_when = "Retry-After" in headers and bool(headers["Retry-After"])
        if not retries.is_retry(request.method, response.status, says_when):
            return response
        try:
            retries = retries.increment(request.method, request.target, response=response, _pool=pool)
        except urllib3.exceptions.MaxRetryError:
            if retries.raise_on_status:
                response.drain_conn()
                raise
            return response
        response.drain_conn()
        retries.sleep(response)
        log.debug("Retry: %s", request.target)


def _named(error: Exception) -> Exception:
    if isinstance(error, SSLError | CertificateError):
        return urllib3.exceptions.SSLError(error)
    if isinstance(error, OSError | HTTPException):
        return urllib3.exceptions.ProtocolError("Connection aborted.", error)
    return error


def _attempt(pool: HTTPConnectionPool, request: Exchange) -> HTTPResponse:
    wait_s = None if request.ends_at is None or not pool.block else _deadline.left_s(request.ends_at)
    connection: Any = pool._get_conn(timeout=wait_s)
    done = False
    try:
        if request.shared and not request.repeatable:
            connection.close()  # a new one: a kept one may turn out to be closed when it is too late to repeat
        response = _converse(pool, connection, request)
        if request.shared and (response.status in _BODYLESS or request.method == "HEAD"):
            connection.close()
        done = True
    finally:
        if not done:
            connection.close()
            pool._put_conn(None)
    response._connection = connection
    response._pool = pool
    return response


def _converse(pool: HTTPConnectionPool, connection: Any, request: Exchange) -> HTTPResponse:
    if not (request.shared and request.repeatable) or connection.sock is None:
        return _send_and_receive(pool, connection, request)
    try:
        return _send_and_receive(pool, connection, request)
    except _STALE:
        connection.close()
        return _send_and_receive(pool, connection, request)


def _send_and_receive(pool: HTTPConnectionPool, connection: Any, request: Exchange) -> HTTPResponse:
    pool.num_requests += 1
    _connect(pool, connection, request)
    message = _plain.message(connection, request) if _originals.SPEAKING.unchanged() else None
    try:
        if message is None:
            connection.response_class = WireResponse
            connection.request(
                request.method,
                request.target,
                body=request.body,
                headers=request.headers,
                chunked=request.chunked,
                preload_content=False,
                decode_content=False,
                enforce_content_length=True,
            )
        else:
            _plain.send(connection, message)
    except OSError as error:
        if error.errno not in _ANSWER_MAY_BE_THERE:
            raise
    response = _receive(pool, connection, request, plain=message is not None)
    if request.ends_at is not None:
        begin_body(response._fp, pool)
    log.debug(
        '%s://%s:%s "%s %s %s" %s %s',
        pool.scheme,
        pool.host,
        pool.port,
        request.method,
        request.target,
        getattr(response, "version_string", "HTTP/1.1"),
        response.status,
        response.length_remaining,
    )
    return response


def _connect(pool: HTTPConnectionPool, connection: Any, request: Exchange) -> None:
    connection.timeout = request.connect_timeout
    if request.ends_at is not None:
        share = _deadline.connect_s if connection.sock is None else _deadline.left_s
        try:
            connection.timeout = _deadline.at_most(request.connect_timeout, share(request.ends_at))
        except TimeoutError as error:
            raise urllib3.exceptions.ConnectTimeoutError(connection, str(error)) from error
    try:
        pool._validate_conn(connection)
    except (TimeoutError, SSLError) as error:
        pool._raise_timeout(err=error, url=request.target, timeout_value=connection.timeout)
        raise


def _receive(pool: HTTPConnectionPool, connection: Any, request: Exchange, *, plain: bool) -> HTTPResponse:
    # Until the deadline, if there is one, for which the reader shortens it.
    if connection.sock is not None:
        connection.timeout = request.read_timeout
    try:
        return _plain.receive(connection, request) if plain else connection.getresponse()
    except OSError as error:
        if request.ends_at is not None and isinstance(error, TimeoutError) and monotonic() >= request.ends_at:
            raise _deadline.read_timeout(pool, request.target) from error
        pool._raise_timeout(err=error, url=request.target, timeout_value=request.read_timeout)
        raise
