"""Sessions as every client of the shop uses them."""

import requests
from requests.adapters import HTTPAdapter, Retry

from shop import __version__

DEFAULT_TIMEOUT = (2.0, 10.0)
# POST is left out on purpose: the callers know which of theirs may be repeated.
RETRIES = Retry(
    total=3,
    backoff_factor=0.1,
    status_forcelist=(502, 503, 504),
    allowed_methods=frozenset({"GET", "HEAD", "PUT", "DELETE"}),
    raise_on_status=False,
)


class TimeoutAdapter(HTTPAdapter):
    """Give each request a timeout; `requests` itself waits without limit."""

    def __init__(self, *args, timeout=DEFAULT_TIMEOUT, **kwargs):
        self.timeout = timeout
        super().__init__(*args, **kwargs)

    def send(self, request, *args, **kwargs):
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self.timeout
        return super().send(request, *args, **kwargs)


def new_session(user: str = "", password: str = "", timeout=DEFAULT_TIMEOUT) -> requests.Session:
    """Return a session that retries safe requests and signs in as *user* if there is one."""
    session = requests.Session()
    adapter = TimeoutAdapter(max_retries=RETRIES, pool_maxsize=20, timeout=timeout)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.headers["User-Agent"] = "shop/{}".format(__version__)
    if user:
        session.auth = (user, password)
    session.hooks["response"].append(_keep_server_name)
    return session


def _keep_server_name(response: requests.Response, **kwargs) -> None:
    """Note which instance answered; it ends up in the logs of failed orders."""
    from requests.structures import CaseInsensitiveDict

    headers = CaseInsensitiveDict(response.headers)
    response.served_by = headers.get("X-Served-By", "unknown")
