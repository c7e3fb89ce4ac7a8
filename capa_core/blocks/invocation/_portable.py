"""Invocation: call a service by name; repeat a call only if that is safe."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, NoReturn

from capa_core.blocks.invocation._outgoing import Headers, check_target, checked_pairs, pairs_of, path_of
from capa_core.blocks.invocation.driver import (
    EndpointStatus,
    InvocationDriver,
    InvocationLimits,
    InvocationRequest,
    InvocationResponse,
)
from capa_core.call import DEFAULT_POLICY, Policy, deadline, telemetry
from capa_core.call.body import encoded
from capa_core.call.conventions import HTTP_CLIENT_DURATION
from capa_core.call.limits import bound, refuse
from capa_core.call.portable import Portable
from capa_core.call.traits import blocking, call_traits
from capa_core.errors import CapaError, DeadlineError

SAFE_VERBS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
IDEMPOTENT_VERBS = SAFE_VERBS | {"PUT", "DELETE"}
"""RFC 9110, section 9.2.2."""

# A value of drivers whose stream blocks; declared here since drivers do not know about async code.
blocking()(InvocationResponse)
call_traits(immediate=True)(InvocationResponse.header)


class Invocation(Portable[InvocationDriver[Any]]):
    """Calls of one service. Safe for many threads."""

    def __init__(self, driver: InvocationDriver[Any], *, name: str, policy: Policy = DEFAULT_POLICY) -> None:
        super().__init__("invocation", driver, name, policy)
        self._caller = f"invocation {name!r}"
        self._last_checked: tuple[int, tuple[tuple[str, str], ...]] | None = None
        self._limits = driver.limits
        self._max_body_bytes = bound(self._limits.max_body_bytes)
        self._try_s = policy.attempt_s

    @property
    def limits(self) -> InvocationLimits:
        """The limits of a request; one over them is refused before it is sent."""
        return self._limits

    @call_traits(waits=True)
    def invoke(
        self,
        method: str,
        data: Any = b"",
        *,
        verb: str = "POST",
        headers: Headers = (),
        timeout_s: float | None = None,
        idempotent: bool | None = None,
    ) -> InvocationResponse:
        """Call *method* of the service and return its response, regardless of its status.

        Args:
            method: The registered name; it becomes the path `/<method>`. Without `?`, `#` and segments `.` and `..`.
            headers: Without those that are about the connection (`Connection`, `Transfer-Encoding`, …).
            data: Bytes and text are sent unchanged; anything else as JSON.
            idempotent: Whether the service may receive the call twice; `None`: as *verb* implies (RFC 9110).
            timeout_s: Seconds for the whole call including retries; `None` for the component's `deadline_s`. Each try
                ends after the component's `attempt_s` at the latest.

        Raises:
            InvalidArgumentError: *data* cannot be written as JSON, or *method* or a header cannot be sent. Nothing
                was sent.
            UnavailableError: The service did not answer. It may have executed the call unless it was never reached.
            DeadlineError: The time ran out. The service may have executed the call.
        """
        body, content_type = encoded(data)
        pairs = list(pairs_of(headers))
        if body and not any(name.lower() == "content-type" for name, _ in pairs):
            pairs.append(("Content-Type", content_type))
        try_s = min(self._left_s(timeout_s), self._try_s)
        pairs.append((deadline.HEADER, str(int(try_s * 1000))))
        path = path_of(method, self._caller)
        return self.request(verb, path, headers=pairs, body=body, timeout_s=timeout_s, idempotent=idempotent)

    @call_traits(waits=True)
    def request(
        self,
        verb: str,
        path: str,
        *,
        headers: Headers = (),
        body: bytes = b"",
        timeout_s: float | None = None,
        idempotent: bool | None = None,
        stream: bool = False,
    ) -> InvocationResponse:
        """Send an HTTP request to the service and return its response, regardless of its status.

        A call is repeated after a transient error only if the service cannot have received it, or may receive it twice.

        Args:
            verb: An HTTP method.
            path: Percent-encoded, with its query; begins with `/`.
            stream: Leave the body unread in `response.stream`; the deadline then
                covers the headers, and each piece of the body has as long.
            timeout_s: As in `invoke`.
            idempotent: As in `invoke`.

        Raises:
            InvalidArgumentError: *verb*, *path* or a header cannot be sent. Nothing was sent.
            UnavailableError: As in `invoke`.
            DeadlineError: As in `invoke`.
        """
        check_target(verb, path, self._caller)
        pairs = self._checked(headers, len(body))
        if len(body) > self._max_body_bytes:
            refuse(self._caller, "the body", len(body), self._limits, "max_body_bytes")
        verb = verb.upper()
        left_s = self._left_s(timeout_s)
        repeat = verb in IDEMPOTENT_VERBS if idempotent is None else idempotent
        request = InvocationRequest(verb, path, pairs, body)
        if not telemetry.observing():
            return self._send(request, left_s, repeat, stream)
        return self._observed(request, left_s, repeat, stream)

    def _observed(
        self, request: InvocationRequest, left_s: float, repeat: bool, stream: bool
    ) -> InvocationResponse:
        subject = {"http.request.method": request.verb, "peer.service": self.name}
        attributes = {**subject, "url.path": request.path.partition("?")[0]}
        with (
            telemetry.measured(HTTP_CLIENT_DURATION, subject) as outcome,
            telemetry.span(request.verb, attributes) as span,
        ):
            carrier: dict[str, str] = {}
            telemetry.inject(carrier)
            traced = replace(request, headers=(*request.headers, *carrier.items()))
            response = self._send(traced, left_s, repeat, stream)
            outcome["http.response.status_code"] = response.status
            if response.status >= 400:
                outcome["error.type"] = str(response.status)
            if span is not None:
                span.set_attribute("http.response.status_code", response.status)
            return response

    def inspect(self) -> list[EndpointStatus]:
        """Return the endpoints of the service that this process knows, without calling them."""
        return self._guard.once("inspect", self._driver.inspect)

    def summary(self) -> str:
        """See `Portable.summary`."""
        endpoints = self.inspect()
        return f"{sum(one.available for one in endpoints)} of {len(endpoints)} endpoints available"

    def _checked(self, headers: Headers, body_bytes: int) -> tuple[tuple[str, str], ...]:
        given = pairs_of(headers)
        if (body_bytes, given) == self._last_checked:  # the same as last time, as those of a session are
            return given
        pairs = checked_pairs(given, body_bytes, self._caller)
        self._last_checked = (body_bytes, pairs)
        return pairs

    def _left_s(self, timeout_s: float | None) -> float:
        return deadline.remaining_s(self._guard.policy.deadline_s if timeout_s is None else timeout_s)

    def _send(
        self, request: InvocationRequest, left_s: float, repeat: bool, stream: bool
    ) -> InvocationResponse:
        end = time.monotonic() + left_s
        try:
            return self._guard.repeated(
                lambda: self._driver.call(request, min(end - time.monotonic(), self._try_s), stream=stream),
                end,
                lambda error: repeat or self._driver.not_sent(error),
            )
        except Exception as error:  # noqa: BLE001 - each driver raises its own types; the guard translates them
            self._fail(error, left_s, end)

    def _fail(self, error: Exception, left_s: float, end: float) -> NoReturn:
        named = self._guard.named(error)
        if named is None or isinstance(error, CapaError):
            raise error
        is_over = time.monotonic() >= end
        if not is_over and named is not DeadlineError:
            self._guard.fail("call", error)
        limit_s, which = left_s, ""
        if not is_over and self._try_s < left_s:
            limit_s = self._try_s
            which = (
                f", the limit of one try: timeout_s or attempt_s under [invocation.{self.name}] in capa.toml"
            )
        raise DeadlineError(f"{self._caller}: no complete response within {limit_s:.3g} s{which}") from error
