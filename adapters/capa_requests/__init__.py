"""`requests`, served by Capa.

    import capa_requests as requests

Classes, exceptions and arguments are the installed original's: `Session` is a subclass of `requests.Session`,
everything else that is not listed in `docs/differences/requests.md` is the same object. A host that capa.toml
names as a service is reached through Capa.
"""

from typing import TYPE_CHECKING

from capa_core import shims
from capa_requests._sdk import SDK as _SDK

try:
    import requests as _original
except ModuleNotFoundError as error:
    raise shims.missing_original(_SDK, error) from error
if (_unsupported := shims.unsupported_original(_SDK)) is not None:
    raise _unsupported
from requests import (
    ConnectionError,  # noqa: A004 - the original's name
    ConnectTimeout,
    HTTPError,
    PreparedRequest,
    ReadTimeout,
    Request,
    RequestException,
    Response,
    Timeout,
    TooManyRedirects,
    URLRequired,
    codes,
    packages,
    utils,
)

from capa_requests import adapters as adapters
from capa_requests import api as api
from capa_requests import sessions as sessions
from capa_requests.sessions import Session, session

if TYPE_CHECKING:
    # Arguments as the original declares them.
    from requests import FileModeWarning as FileModeWarning
    from requests import JSONDecodeError as JSONDecodeError  # noqa: TC004 - the original has it from 2.27 on
    from requests import __version__ as __version__
    from requests import delete, get, head, options, patch, post, put, request
    from requests import exceptions as exceptions
else:
    # At once, as in the original: the first import of the module binds this name to it.
    from capa_requests.__version__ import __version__ as __version__
    from capa_requests.api import delete, get, head, options, patch, post, put, request

__all__ = [
    "ConnectTimeout",
    "ConnectionError",
    "HTTPError",
    "JSONDecodeError",
    "PreparedRequest",
    "ReadTimeout",
    "Request",
    "RequestException",
    "Response",
    "Session",
    "Timeout",
    "TooManyRedirects",
    "URLRequired",
    "codes",
    "delete",
    "get",
    "head",
    "options",
    "packages",
    "patch",
    "post",
    "put",
    "request",
    "session",
    "utils",
]

if not hasattr(_original, "JSONDecodeError"):
    __all__.remove("JSONDecodeError")  # noqa: PYI056 - type checkers see the newest original

shims.mirror(__name__, _original)
