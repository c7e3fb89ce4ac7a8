"""kombu's own unit tests on kombu, and rewritten to Capa, compared test by test. The whole, in a minute:

.venv/bin/python tests/adapters/kombu/kombu_own_suite.py

The rewrite is the one that users run; each module of tests then has memory drivers of its own. Nothing else differs.
Tests of the transports that Capa stands in for stay the original's. Those that end otherwise are listed, with the
reason, in `KNOWN`.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from foreign_suite import Compared, Suite, copy_of, outcomes, outcomes_before, prepared

PLUGIN = """
import pytest

from capa_core import Runtime, use_runtime


# As long as the original's: some tests get what others have sent.
@pytest.fixture(scope="module", autouse=True)
def _capa_in_memory():
    with use_runtime(Runtime.in_memory()):
        yield
"""

IGNORED = (
    *("asynchronous/aws", "transport/SQS"),
    *("transport/test_azurestoragequeues.py", "transport/test_gcpubsub.py"),
)

CHOSEN = (
    *("common", "compat", "connection", "entity", "message", "messaging", "mixins", "pidbox", "pools"),
    *("serialization", "simple"),
)
SLOW = ("failover_with_total_timeout", "timeout_with_callback", "timeout_with_errback")
"""They wait for two seconds each."""

SUITE = Suite(
    project="kombu",
    version="5.7.0",
    requirements=("kombu[msgpack,yaml]==5.7.0", "pytest", "pytest-timeout", "pytest-freezer", "hypothesis<7"),
    extra="kombu",
    # Those left out cannot be collected without the client libraries of their clouds.
    whole=("t/unit", *(f"--ignore=t/unit/{path}" for path in IGNORED)),
    chosen=(
        *(f"t/unit/test_{name}.py" for name in CHOSEN),
        *(f"--deselect=t/unit/test_connection.py::test_Connection::test_connection_{name}" for name in SLOW),
    ),
    removed=("docs", "examples", "kombu"),
)

KNOWN = {
    "no address is connected to": (r"test_Connection::test_connection_respect_its_timeout",),
    "Capa serves for every transport that comes with kombu": (
        r"test_Connection_transport_scheme::test_dotted_transport_keyword_not_rejected",
        r"t\.unit\.transport\.(test_filesystem|test_memory|test_pyamqp)[.:].*",
    ),
    "private parts of kombu's virtual transports are not used": (
        r"t\.unit\.transport\.test_base\.test_StdChannel::.*",
        r"t\.unit\.transport\.virtual\.test_base\.test_Channel::.*",
    ),
    "the management plug-in of RabbitMQ is not asked": (r"test_amq_manager\.test_get_manager::.*",),
    "a queue with `auto_delete` ends with its last consumer": (r"test_Mailbox::test_reply__collect",),
    "what another test did not acknowledge comes again": (r"test_SimpleQueue::test_get_accept",),
    "a new name that is imported anew leads to the original, which is not": (
        r"test_compression::test_no_(bz2|lzma)",
    ),
}


def unexpected(compared: Compared) -> dict[str, tuple[str, str]]:
    """Return the tests that passed on kombu, did not on Capa, and are not known to."""
    known = re.compile("|".join(pattern for patterns in KNOWN.values() for pattern in patterns) or "(?!)")
    return {
        name: pair
        for name, pair in compared.different.items()
        if pair[0] == "passed" and not known.search(name)
    }


def compare(arguments: Sequence[str]) -> Compared:
    """Run the tests that *arguments* name on both sides.

    Raises:
        UnavailableError: kombu's source or the requirements of its tests cannot be fetched.
    """
    folder, python = prepared(SUITE)
    options = ("--timeout=60", *arguments)
    before = outcomes_before(
        SUITE, python, options, lambda: outcomes(python, copy_of(SUITE, folder, "before"), options)
    )
    after = copy_of(SUITE, folder, "after")
    capa = Path(sys.executable).parent / "capa"
    subprocess.run([capa, "migrate", "apply", after], check=True, capture_output=True)
    (after / "over_capa.py").write_text(PLUGIN)
    return Compared(before, outcomes(python, after, ("-p", "over_capa", *options)))


if __name__ == "__main__":
    result = compare(sys.argv[1:] or SUITE.whole)
    print(result.report())
    print(f"of these unexpected: {list(unexpected(result))}")
    sys.exit(1 if unexpected(result) or not result.passed else 0)
