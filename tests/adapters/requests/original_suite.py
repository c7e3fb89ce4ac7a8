"""The original's own tests on itself and on the shim. The whole of it, in about three minutes:

.venv/bin/python tests/adapters/requests/original_suite.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from foreign_suite import Suite, main

_SLOW = ("timeout", "verify_bundle", "alt_utf", "json_decode_compat", "server_finishes", "win_registry")

SUITE = Suite(
    project="requests",
    version="2.34.2",
    requirements=(
        *("requests[socks]==2.34.2", "pytest<9", "pytest-cov", "pytest-httpbin==2.1.0", "httpbin~=0.10.0"),
        *("pytest-mock", "trustme"),
    ),
    extra="requests",
    whole=("tests",),
    removed=("src",),
    chosen=("tests/test_requests.py", "tests/test_lowlevel.py", "tests/test_adapters.py", "tests/test_hooks.py",
            "-k", f"not ({' or '.join(_SLOW)})"),
)  # fmt: skip

#: The oldest versions that the shim supports, on which the original's own way to the wire runs.
OLDEST = Suite(
    project="requests",
    version="2.25.1",
    requirements=(
        *("requests[socks]==2.25.1", "urllib3==1.26.20", "pytest<9", "pytest-httpbin==2.1.0", "httpbin~=0.10.0"),
        "pytest-mock",
    ),
    extra="requests",
    whole=("tests",),
    removed=("requests", "requests.egg-info"),
    chosen=("tests/test_requests.py", "tests/test_lowlevel.py", "tests/test_hooks.py", "-p", "no:warnings",
            "-k", f"not ({' or '.join(_SLOW)})"),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(SUITE))
