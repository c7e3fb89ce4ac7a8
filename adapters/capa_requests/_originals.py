"""Snapshots of the functions that the fast paths skip in `requests`, `urllib3` and `http.client`.

Mock libraries (`responses`, `requests-mock`), instrumentation and applications replace some of these functions. Each
fast path compares its snapshot first, and the original runs where one has changed.
"""

import http.client

import requests.adapters
import requests.api
import requests.models
import requests.sessions
import requests.utils
import urllib3
import urllib3.connection
import urllib3.connectionpool
import urllib3.poolmanager
import urllib3.response

from capa_core.shims import AttributeSnapshot, MethodSnapshot, is_within

#: Whether the fast paths replace the functions of these versions. With older ones the original's functions run.
IS_CURRENT = is_within(requests.__version__, ">=2.32.3") and is_within(
    urllib3.__version__,  # type: ignore[attr-defined] # its stubs leave it out
    ">=2",
)

_BODY = "prepare prepare_method prepare_url prepare_headers prepare_cookies prepare_body prepare_auth prepare_hooks"

API = AttributeSnapshot(
    (requests.api, "request sessions"),
    (requests.sessions, "Session session"),
)
#: The functions that make a session, which single calls use once and not each time.
TEMPLATE = AttributeSnapshot(
    (requests.sessions, "HTTPAdapter DEFAULT_REDIRECT_LIMIT default_headers"),
    (requests.adapters, "PoolManager Retry"),
    (requests.utils, "default_headers default_user_agent"),
)
session_request = requests.sessions.Session.request
session_send = requests.sessions.Session.send
PREPARING = AttributeSnapshot(
    (requests.models.PreparedRequest, _BODY),
    (
        requests.sessions,
        "Request PreparedRequest RequestsCookieJar CaseInsensitiveDict get_netrc_auth merge_setting merge_cookies",
    ),
    (requests.sessions, "merge_hooks cookiejar_from_dict"),
    (requests.models, "get_cookie_header requote_uri parse_url check_header_validity"),
    when=IS_CURRENT,
)
ENVIRONMENT = AttributeSnapshot(
    (requests.sessions, "get_environ_proxies merge_setting"),
    (requests.utils, "should_bypass_proxies getproxies proxy_bypass getproxies_environment"),
    when=IS_CURRENT,
)
SENDING = AttributeSnapshot(
    (requests.models.Response, "content iter_content"),
    (requests.sessions, "dispatch_hook extract_cookies_to_jar"),
    when=IS_CURRENT,
)
#: Replaced by `responses` and the like: a call that meets it never leaves the process.
adapter_send = requests.adapters.HTTPAdapter.send
WIRE = AttributeSnapshot(
    (
        requests.adapters,
        "TimeoutSauce Response CaseInsensitiveDict extract_cookies_to_jar get_encoding_from_headers select_proxy",
    ),
    (
        urllib3.connectionpool.HTTPConnectionPool,
        "urlopen _make_request _get_conn _put_conn _new_conn _validate_conn",
    ),
    (urllib3.connectionpool.HTTPSConnectionPool, "_validate_conn _new_conn ConnectionCls"),
    (urllib3.connectionpool.HTTPConnectionPool, "ConnectionCls scheme"),
    (urllib3.connection.HTTPConnection, "response_class debuglevel"),
    (http.client.HTTPResponse, "__init__ begin read _read_status"),
    when=IS_CURRENT,
)
#: Replaced on an instrumented connection, which then sends and receives by itself.
SPEAKING = AttributeSnapshot(
    (urllib3.connection.HTTPConnection, "request getresponse putrequest putheader endheaders"),
    (urllib3.connection.HTTPSConnection, "request getresponse putrequest putheader endheaders"),
    (
        http.client.HTTPConnection,
        "request getresponse putrequest putheader endheaders _send_output _output _http_vsn _http_vsn_str",
    ),
    (urllib3.connection, "HTTPHeaderDict assert_header_parsing"),
    (urllib3.response, "HTTPResponse BaseHTTPResponse"),
    when=IS_CURRENT,
)

#: Skipped of a response whose body is plain.
READING = AttributeSnapshot(
    (urllib3.response.HTTPResponse, "read _raw_read _fp_read release_conn"),
    (http.client.HTTPResponse, "read isclosed"),
    when=IS_CURRENT,
)

#: Skipped of a session by the fast path through `Session.request`.
SESSION_PREPARING = MethodSnapshot(requests.sessions.Session, "prepare_request merge_environment_settings")
#: Skipped of an adapter by the fast path through `HTTPAdapter.send`.
ADAPTER_CONNECTING = MethodSnapshot(
    requests.adapters.HTTPAdapter,
    "get_connection_with_tls_context build_connection_pool_key_attributes get_connection request_url",
    when=IS_CURRENT,
)
ADAPTER_BUILDING = MethodSnapshot(requests.adapters.HTTPAdapter, "build_response add_headers")
#: Skipped by `Session.send` for an answer without a `Location`.
REDIRECTING = MethodSnapshot(requests.sessions.Session, "get_redirect_target resolve_redirects")
