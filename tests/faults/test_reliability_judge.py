"""The judge of runs with faults counts what the journal says, and nothing else."""

import json
import subprocess
import sys

import pytest
from reliability.cell import JUDGE

WHOLE = """
round 0 - 0.0
tried 1 p 1.0
sent 1 p 1.1
taken 1 a 1.2
done 1 a 1.3
settled 1 a 1.4
"""


def judged(tmp_path, text, *words):
    journal = tmp_path / "journal"
    journal.write_text(text.lstrip("\n"))
    ran = subprocess.run([sys.executable, "-I", JUDGE, journal, *words], capture_output=True, text=True)
    return json.loads(ran.stdout)


@pytest.mark.parametrize(
    ("more", "differs"),
    [
        ("", {}),
        ("tried 2 p 2.0\nsent 2 p 2.1\n", {"sent": 2, "lost": 1}),
        ("tried 2 p 2.0\nfailed 2 p 2.1\n", {"errors": 1}),
        ("tried 2 p 2.0\nfailed 2 p 2.1\ndone 2 a 2.2\n", {"errors": 1, "unconfirmed": 1}),
        ("taken 1 b 3.0\ndone 1 b 3.1\ntaken 1 b 3.2\ndone 1 b 3.3\n", {"duplicated": 2, "unexplained": 2}),
        ("sent 2 p 2", {}),  # torn: of a process that was killed while it wrote
    ],
    ids=["fine", "lost", "not sent", "not confirmed", "again", "torn"],
)
def test_messages_are_counted(tmp_path, more, differs):
    counts = judged(tmp_path, WHOLE + more)
    fine = {
        "sent": 1,
        "done": 1,
        "lost": 0,
        "unconfirmed": 0,
        "duplicated": 0,
        "in_flight": 0,
        "overdue": 0,
        "unexplained": 0,
        "errors": 0,
        "faults": 0,
        "troubles": [],
        "recoveries": [],
    }

    assert fine | differs == counts


@pytest.mark.parametrize(
    ("fault", "in_flight"),
    [
        ("fault 0 a 1.25\nover 0 - 1.26\n", 1),
        ("fault 0 b,c 1.25\nover 0 - 1.26\n", 0),
        ("outage 0 * 1.25\nover 0 - 9.0\n", 1),
        ("fault 0 p 1.05\nover 0 - 1.06\n", 1),
        ("fault 0 * 1.45\nover 0 - 1.46\n", 0),
    ],
    ids=["its consumer", "others", "all", "its producer", "settled before"],
)
def test_what_was_in_flight_at_a_fault_may_come_again(tmp_path, fault, in_flight):
    assert in_flight == judged(tmp_path, WHOLE + fault)["in_flight"]


@pytest.mark.parametrize(
    ("held", "overdue"),
    [
        ("taken 1 b 5.0\ndone 1 b 5.1\nsettled 1 b 5.2\n", 0),
        ("taken 1 b 5.0\ndone 1 b 5.1\nsettled 1 b 7.1\n", 1),
        ("idle - b 3.0\ntaken 1 b 5.0\ndone 1 b 5.1\nsettled 1 b 5.2\n", 1),
        ("idle - b 4.9\ntaken 2 b 5.0\ntaken 1 b 5.0\ndone 1 b 5.1\n", 0),
    ],
    ids=["in time", "settled late", "received late", "received in time"],
)
def test_what_was_held_for_longer_than_its_lease_may_come_again(tmp_path, held, overdue):
    counts = judged(tmp_path, WHOLE + held, "0", "2")

    assert (overdue, 1 - overdue) == (counts["overdue"], counts["unexplained"])


def test_an_acknowledgement_that_nobody_confirms_takes_its_time(tmp_path):
    fault = "fault 0 a 1.45\nover 0 - 1.46\n"
    celery = WHOLE.replace("settled 1 a 1.4\n", "")

    assert 1 == judged(tmp_path, WHOLE + fault, "0.1")["in_flight"]
    assert 1 == judged(tmp_path, celery + fault, "0.2")["in_flight"]
    assert 0 == judged(tmp_path, celery + fault, "0.1")["in_flight"]


def test_errors_are_those_of_the_fault_that_lasted(tmp_path):
    faults = "outage 0 * 2.0\nover 0 - 3.0\noutage 1 * 4.0\nover 1 - 5.0\n"
    counts = judged(tmp_path, f"{WHOLE}failed 2 p 2.5\nerror - a 2.6\nfailed 3 p 3.5\n{faults}")

    assert (3, [2, 0]) == (counts["errors"], counts["troubles"])


def test_the_time_until_all_is_back_is_measured(tmp_path):
    """From a fault's beginning, or an outage's end, to the first completion of the last of what was sent before."""
    text = """
tried 1 p 0.5
sent 1 p 1.0
taken 1 a 1.5
fault 0 a 2.0
over 0 - 3.0
tried 2 p 3.5
sent 2 p 4.0
done 1 b 4.5
done 1 b 9.0
outage 1 * 5.0
over 1 - 6.0
done 2 b 7.5
sent 3 p 7.6
fault 2 a 8.0
over 2 - 8.1
"""

    assert [2.5, 1.5, None] == judged(tmp_path, text)["recoveries"]
