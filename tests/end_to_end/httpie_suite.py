"""HTTPie's own tests before and after the rewrite. The whole of it, in about three minutes:

.venv/bin/python tests/end_to_end/httpie_suite.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from foreign_suite import Suite, main

_CHOSEN = (
    "auth",
    "binary",
    "cookie",
    "defaults",
    "errors",
    "redirects",
    "sessions",
    "ssl",
    "transport_plugin",
)

SUITE = Suite(
    project="httpie",
    version="3.2.4",
    requirements=(
        *("charset_normalizer", "defusedxml", "requests[socks]==2.34.2", "Pygments", "requests-toolbelt"),
        *(
            "multidict",
            "setuptools",
            "rich",
            "pip",
            "pytest",
            "pytest-httpbin",
            "pytest-mock",
            "responses",
            "werkzeug",
        ),
    ),
    extra="requests",
    # The tests left out install packages.
    whole=("httpie", "tests", "--ignore=tests/test_plugins_cli.py"),
    chosen=tuple(f"tests/test_{name}.py" for name in _CHOSEN),
)

if __name__ == "__main__":
    sys.exit(main(SUITE))
