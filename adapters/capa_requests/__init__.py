"""`requests`, served by Capa.

    import capa_requests as requests

Classes, exceptions and arguments are the installed original's: `Session` is a subclass of `requests.Session`,
everything else that is not listed in `docs/differences/requests.md` is the same object. A host that capa.toml
names as a service is reached through Capa.
"""

from typing import TYPE_CHECKING

try:
    import requests as _original
except ModuleNotFoundError as error:
    from capa_core.errors import MissingExtraError

    raise MissingExtraError(
        f"capa_requests needs the library {error.name!r}. Run: pip install 'capa-core[requests]'"
    ) from error
from requests import (
    ConnectionError,  # noqa: A004 - the original's name
    ConnectTimeout,
    HTTPError,
    JSONDecodeError,
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

from capa_requests import _mirror, _versions

if _found := _versions.too_old():
    from capa_core.errors import MissingExtraError

    raise MissingExtraError(
        f"capa_requests needs requests 2.32.3 and urllib3 2 or later, and found {_found}. "
        "Run: pip install 'capa-core[requests]'"
    )
from capa_requests import adapters as adapters
from capa_requests import api as api
from capa_requests import sessions as sessions
from capa_requests.sessions import Session, session

if TYPE_CHECKING:
    # Arguments as the original declares them.
    from requests import FileModeWarning as FileModeWarning
    from requests import __version__ as __version__
    from requests import delete, get, head, options, patch, post, put, request
    from requests import exceptions as exceptions
else:
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

_mirror.install(__name__, _original)
