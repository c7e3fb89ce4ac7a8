"""`requests.packages`: the very same module, and the same `requests.packages.urllib3…` below it (see `_same`)."""

from requests.packages import *  # noqa: F403 - for type checkers and readers

from capa_requests import _same

_same.module(__name__, with_submodules=True)
