"""The command of the fault suite chooses what is named, and its page marks what is not as promised."""

import pytest
from reliability import __main__ as command
from reliability.killed import KILLED
from reliability.matrix import Key
from reliability.page import _row, _row_of_killed

CIRCUMSTANCES = {"faults": 2, "date": "2026-11-30"}
FINE = {"sent": 1000, "lost": 0, "duplicated": 3, "in_flight": 3, "recoveries": [1.0, 4.0]}
MOVED = {"sent": 9, "moved": 9, "lost": 0, "duplicated": 0, "out of order": 0}


@pytest.mark.parametrize(
    ("words", "engines", "programs"),
    [
        (["redis", "worker-killed", "capa"], {"redis"}, set()),
        (["bridge"], set(), {"bridge"}),
        (["redis", "config-sync"], {"redis"}, {"config-sync"}),
    ],
)
def test_words_choose_what_is_run(words, engines, programs):
    options = command._options(words)
    chosen = {key.engine for key in options.cells}, {each.program for each in options.killed}

    assert (engines, programs) == chosen


def test_an_unknown_word_is_refused(capsys):
    with pytest.raises(SystemExit):
        command._options(["bridges"])

    assert "bridges: choose from" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("differs", "bold"),
    [
        ({}, []),
        ({"lost": 1}, ["**1**"]),
        ({"duplicated": 4}, ["**4**"]),
        ({"recoveries": [1.0, 4.1]}, ["**4.1 s**"]),
        ({"recoveries": [1.0, None]}, ["**stuck**"]),
    ],
    ids=["fine", "lost", "again", "late", "stuck"],
)
@pytest.mark.parametrize("side", ["capa", "celery"])
def test_a_figure_that_capa_does_not_promise_is_bold(side, differs, bold):
    row = _row(Key("redis", "worker-killed", side), CIRCUMSTANCES | FINE | differs)

    assert (bold if side == "capa" else []) == [cell for cell in row if "**" in cell]


@pytest.mark.parametrize("name", ["lost", "duplicated", "out of order"])
def test_a_count_of_a_killed_bridge_that_is_not_as_promised_is_bold(name):
    rows = [_row_of_killed(KILLED[0], CIRCUMSTANCES | MOVED | counts) for counts in ({}, {name: 1})]

    assert [[], ["**1**"]] == [[cell for cell in row if "**" in cell] for row in rows]
