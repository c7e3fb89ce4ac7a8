"""The original's functions as they were at import, and whether they still are.

Mock libraries (`responses`, `requests-mock`), instrumentation and users replace functions of `requests`,
`urllib3` and `http.client`. Wherever Capa takes a shorter way it would skip some of those functions, so each
short way first asks its `Watch` whether everything it is about to skip is untouched, and else lets the
original run.
"""

import http.client
from collections.abc import Callable
from operator import attrgetter

import requests.adapters
import requests.api
import requests.models
import requests.sessions
import requests.utils
import urllib3.connection
import urllib3.connectionpool
import urllib3.poolmanager
import urllib3.response


class Watch:
    """Some attributes of some modules and classes, remembered as they are now."""

    def __init__(self, *places: tuple[object, str]) -> None:
        """Remember *places*: pairs of an owner and the names in it, separated by spaces (two names at least)."""
        self._places: list[tuple[object, Callable[[object], object], object]] = []
        for owner, names in places:
            read = attrgetter(*names.split())
            self._places.append((owner, read, read(owner)))

    def untouched(self) -> bool:
        """Tell whether every attribute is still the same object."""
        for owner, read, remembered in self._places:  # noqa: SIM110 - a generator costs more than the loop
            if read(owner) != remembered:
                return False
        return True


class Methods:
    """Some methods of one of the original's classes, compared with what an instance would really call."""

    def __init__(self, owner: type, names: str) -> None:
        """Remember the methods *names* (separated by spaces, two at least) of *owner*."""
        self._read = attrgetter(*names.split())
        self._remembered = self._read(owner)
        self._names = frozenset(names.split())

    def inherited_by(self, instance: object) -> bool:
        """Tell whether *instance* has the remembered methods: no subclass, patch or attribute changes one."""
        same: bool = self._read(type(instance)) == self._remembered
        return same and self._names.isdisjoint(vars(instance))


_BODY = "prepare prepare_method prepare_url prepare_headers prepare_cookies prepare_body prepare_auth prepare_hooks"

API = Watch(
    (requests.api, "request sessions"),
    (requests.sessions, "Session session"),
    (requests.utils, "default_headers default_user_agent"),
)
session_request = requests.sessions.Session.request
session_send = requests.sessions.Session.send
PREPARING = Watch(
    (requests.models.PreparedRequest, _BODY),
    (requests.sessions, "Request PreparedRequest get_netrc_auth merge_setting merge_cookies merge_hooks"),
    (requests.models, "get_cookie_header requote_uri parse_url check_header_validity"),
)
ENVIRONMENT = Watch(
    (requests.sessions, "get_environ_proxies merge_setting"),
    (requests.utils, "should_bypass_proxies getproxies proxy_bypass getproxies_environment"),
)
SENDING = Watch(
    (requests.models.Response, "content iter_content"),
)
#: Replaced by `responses` and the like: a call that meets it never leaves the process.
adapter_send = requests.adapters.HTTPAdapter.send
WIRE = Watch(
    (
        urllib3.connectionpool.HTTPConnectionPool,
        "urlopen _make_request _get_conn _put_conn _new_conn _validate_conn",
    ),
    (urllib3.connectionpool.HTTPSConnectionPool, "_validate_conn _new_conn ConnectionCls"),
    (urllib3.connectionpool.HTTPConnectionPool, "ConnectionCls scheme"),
    (urllib3.connection.HTTPConnection, "response_class debuglevel"),
    (http.client.HTTPResponse, "__init__ begin read _read_status"),
)
#: What an instrumented connection has replaced: then it speaks for itself.
SPEAKING = Watch(
    (urllib3.connection.HTTPConnection, "request getresponse putrequest putheader endheaders"),
    (urllib3.connection.HTTPSConnection, "request getresponse putrequest putheader endheaders"),
    (
        http.client.HTTPConnection,
        "request getresponse putrequest putheader endheaders _send_output _output _http_vsn _http_vsn_str",
    ),
    (urllib3.connection, "HTTPHeaderDict assert_header_parsing"),
    (urllib3.response, "HTTPResponse BaseHTTPResponse"),
)

#: What the short way through `Session.request` skips of a session.
SESSION_PREPARING = Methods(requests.sessions.Session, "prepare_request merge_environment_settings")
#: What the short way through `HTTPAdapter.send` skips of an adapter.
ADAPTER_CONNECTING = Methods(
    requests.adapters.HTTPAdapter,
    "get_connection_with_tls_context build_connection_pool_key_attributes get_connection request_url",
)
ADAPTER_BUILDING = Methods(requests.adapters.HTTPAdapter, "build_response add_headers")
#: What `Session.send` skips for an answer without a `Location`.
REDIRECTING = Methods(requests.sessions.Session, "get_redirect_target resolve_redirects")
