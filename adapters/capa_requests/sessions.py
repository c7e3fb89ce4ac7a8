"""`requests.sessions`, with a `Session` that prepares and sends by a faster path.

Names that are not defined here are the original module's own, for reading and for patching.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import requests.sessions as _original
from requests.cookies import RequestsCookieJar
from requests.models import PreparedRequest, Response
from requests.structures import CaseInsensitiveDict

from capa_core import shims
from capa_requests import _deadline, _environment, _originals, _prepare, _response, _urls
from capa_requests._settings import settings
from capa_requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from requests.sessions import SessionRedirectMixin as SessionRedirectMixin  # noqa: PLC0414 - exported

    def __getattr__(name: str) -> Any: ...


#: Functions are looked up in the original's module at each call, where they may have been replaced.
_theirs: Any = _original


class Session(_original.Session):
    """The original's session, with all its attributes and methods.

    Two things differ: a call without `timeout=` has the deadline of the settings, and preparing and sending skip
    steps that would change nothing. A step that is overridden in a subclass, or replaced, is taken as it is.
    """

    def __init__(self) -> None:
        """Start with the original's defaults and an adapter of Capa's for each scheme."""
        super().__init__()
        for prefix, adapter in list(self.adapters.items()):
            if type(adapter) is _original.HTTPAdapter:
                self.adapters[prefix] = HTTPAdapter()

    @shims.with_signature_of(_original.Session.request)
    def request(self, *args: Any, **kwargs: Any) -> Response:
        """Prepare a request, send it, follow redirects, and return the last answer.

        `timeout` is the seconds to wait for a connection and for each part of the answer, or a pair of them; `None`
        waits without limit. Left out, the whole call has the deadline of `[adapters.requests] timeout_s`.

        Raises:
            RequestException: The original raises it for the same failure.
        """
        limits = settings()
        if limits.is_legacy:
            return super().request(*args, **kwargs)
        token = _deadline.begin(_deadline.given(args, kwargs, 8), limits)
        try:
            path = self._fast_path if self._can_use_fast_path() else super().request
            return path(*args, **kwargs)
        finally:
            _deadline.end(token)

    def _fast_path(  # noqa: PLR0917 - the original's
        self,
        method: Any,
        url: Any,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        cookies: Any = None,
        files: Any = None,
        auth: Any = None,
        timeout: Any = None,
        allow_redirects: bool = True,
        proxies: Any = None,
        hooks: Any = None,
        stream: Any = None,
        verify: Any = None,
        cert: Any = None,
        json: Any = None,
    ) -> Response:
        environment = _environment.present() if self.trust_env else None
        prepared = _prepare.prepare(
            self,
            environment,
            method,
            url,
            params=params,
            data=data,
            headers=headers,
            cookies=cookies,
            files=files,
            auth=auth,
            json=json,
            hooks=hooks,
        )
        if prepared is None:
            return super().request(
                method, url, params, data, headers, cookies, files, auth, timeout, allow_redirects,
                proxies, hooks, stream, verify, cert, json,
            )  # fmt: skip
        settings = self._settings(environment, prepared, proxies, stream, verify, cert)
        return self.send(prepared, timeout=timeout, allow_redirects=allow_redirects, **settings)

    def _can_use_fast_path(self) -> bool:
        return (
            self._is_followed_by_the_original()
            and _originals.PREPARING.unchanged()
            and _originals.SESSION_PREPARING.inherited_by(self)
        )

    def _is_followed_by_the_original(self) -> bool:
        # Else one of the two has been replaced, or a class is in between: `class Both(OurSession, TheirSession)`.
        # Not by the name `Session`, which tests replace.
        following: Any = super(__class__, type(self))  # type: ignore[name-defined]
        return following.request is _originals.session_request and following.send is _originals.session_send

    def _settings(  # noqa: PLR0917 - the original's, and the environment
        self, environment: Any, prepared: PreparedRequest, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Return the same as `merge_environment_settings`."""
        url = str(prepared.url)
        if proxies or self.proxies or not _originals.ENVIRONMENT.unchanged():
            return self.merge_environment_settings(url, proxies or {}, stream, verify, cert)
        merged: OrderedDict[str, str] = OrderedDict()
        if self.trust_env:
            merged.update(_environment.proxies_for(environment, url, _urls.origin(url)))
            if verify is True or verify is None:
                verify = _environment.ca_bundle(environment) or verify
        return {
            "proxies": merged,
            "stream": self.stream if stream is None else stream,
            "verify": self.verify if verify is None else verify,
            "cert": self.cert if cert is None else cert,
        }

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """Send *request*, follow redirects if `allow_redirects`, and return the last answer.

        Raises:
            RequestException: The original raises it for the same failure.
            ValueError: *request* is not prepared.
        """
        if not self._is_followed_by_the_original() or not _originals.SENDING.unchanged():
            return super().send(request, **kwargs)
        if _deadline.in_progress():
            return self._send(request, kwargs)
        limits = settings()
        if limits.is_legacy:
            return super().send(request, **kwargs)
        token = _deadline.begin(kwargs.get("timeout", _deadline.UNSET), limits)
        try:
            return self._send(request, kwargs)
        finally:
            _deadline.end(token)

    def _send(self, request: Any, kwargs: dict[str, Any]) -> Response:
        kwargs.setdefault("stream", self.stream)
        kwargs.setdefault("verify", self.verify)
        kwargs.setdefault("cert", self.cert)
        if "proxies" not in kwargs:
            kwargs["proxies"] = _theirs.resolve_proxies(request, self.proxies, self.trust_env)
        if isinstance(request, _theirs.Request):
            raise ValueError("You can only send PreparedRequests.")  # noqa: TRY004 - the original's
        allow_redirects = kwargs.pop("allow_redirects", True)
        hooks = request.hooks  # the present ones, as in the original, without those added while it is sent
        response = self._exchange(request, kwargs)
        if hooks and any(hooks.values()):
            response = _theirs.dispatch_hook("response", hooks, response, **kwargs)
        self._keep_cookies(request, response)
        response = self._redirected(response, request, allow_redirects, kwargs)
        if not kwargs["stream"]:
            _response.read(response)
        return response

    def _exchange(self, request: PreparedRequest, kwargs: dict[str, Any]) -> Response:
        adapter = self.get_adapter(url=request.url)  # type: ignore[arg-type]
        start = _theirs.preferred_clock()
        response = adapter.send(request, **kwargs)
        response.elapsed = timedelta(seconds=_theirs.preferred_clock() - start)
        return response

    def _keep_cookies(self, request: PreparedRequest, response: Response) -> None:
        extract = _theirs.extract_cookies_to_jar
        for earlier in response.history:
            extract(self.cookies, earlier.request, earlier.raw)
        if _response.sets_cookies(response.raw) or type(self.cookies) is not RequestsCookieJar:
            extract(self.cookies, request, response.raw)

    def _redirected(
        self, response: Any, request: PreparedRequest, allow_redirects: bool, kwargs: dict[str, Any]
    ) -> Response:
        """Follow redirects, or note where the next one would lead."""
        headers = response.headers
        # `in` of the dictionary itself raises and catches an exception.
        names: Any = headers._store if type(headers) is CaseInsensitiveDict else headers  # type: ignore[attr-defined]
        if "location" not in names and _originals.REDIRECTING.inherited_by(self):
            return cast("Response", response)
        if not allow_redirects:
            following = self.resolve_redirects(response, request, yield_requests=True, **kwargs)
            response._next = next(following, None)
            return cast("Response", response)
        history = [response, *self.resolve_redirects(response, request, **kwargs)]
        last: Response = history.pop()
        if history:
            last.history = history
        return last


def session() -> Session:
    """Return a `Session`."""
    return Session()


shims.mirror(__name__, _original)
