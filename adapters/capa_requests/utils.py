"""`requests.utils`: the very same module, so that its state and patches on it are shared (see `_same`)."""

from requests.utils import *  # noqa: F403 - for type checkers and readers

from capa_requests import _same

_same.module(__name__)
