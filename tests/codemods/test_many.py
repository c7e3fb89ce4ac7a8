"""Many files: done in order, in one process or in several, even when a process dies."""

from __future__ import annotations

import os
import signal

import pytest

from capa_codemods.pipeline import each_file

PATHS = [f"{number}.py" for number in range(40)]


@pytest.fixture(
    params=[(1, 2), (1, 3), (1, 100), (100, 2)],
    ids=["two processes", "three processes", "as many as pay", "one process"],
)
def pays_above(request, monkeypatch):
    pays_above, cores = request.param
    monkeypatch.setattr(each_file, "PAYS_ABOVE", pays_above)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(cores), raising=False)


@pytest.fixture
def two_processes(monkeypatch):
    monkeypatch.setattr(each_file, "PAYS_ABOVE", 1)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(2), raising=False)


@pytest.mark.usefixtures("pays_above")
def test_answers_come_in_the_order_of_the_files():
    answers = list(each_file.each_file(lambda path: path if int(path[:-3]) % 3 else None, PATHS, str.upper))

    assert [path if number % 3 else None for number, path in enumerate(PATHS)] == answers


@pytest.mark.usefixtures("pays_above")
def test_an_error_of_the_work_is_raised():
    def work(path: str) -> str:
        if path == "7.py":
            raise KeyError(path)
        return path

    with pytest.raises(KeyError, match="7.py"):
        list(each_file.each_file(work, PATHS, str.upper))


@pytest.mark.usefixtures("two_processes")
def test_files_that_take_their_process_down_are_answered_for_and_no_other_is():
    fatal = {"3.py", "5.py", "6.py", "39.py"}

    def work(path: str) -> str:
        if path in fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return path

    answers = list(each_file.each_file(work, PATHS, str.upper))

    assert [path.upper() if path in fatal else path for path in PATHS] == answers


@pytest.mark.timeout(20)
@pytest.mark.usefixtures("two_processes")
def test_work_that_raises_after_a_process_went_down_ends_the_others_too():
    def work(path: str) -> str:
        if path == "2.py":
            os.kill(os.getpid(), signal.SIGKILL)
        if path == "5.py":
            raise KeyError(path)
        return path * 20_000

    with pytest.raises(KeyError, match="5.py"):
        list(each_file.each_file(work, PATHS, str.upper))


@pytest.mark.usefixtures("two_processes")
def test_large_answers_do_not_block_the_processes():
    answers = each_file.each_file(lambda path: path * 100_000, PATHS, str.upper)

    assert [path * 100_000 for path in PATHS] == list(answers)


@pytest.mark.usefixtures("two_processes")
def test_leaving_early_leaves_no_process_behind(monkeypatch):
    fork, started = os.fork, []
    monkeypatch.setattr("os.fork", lambda: started.append(fork()) or started[-1])
    answers = each_file.each_file(str.upper, PATHS, str.upper)
    next(answers)
    answers.close()

    for process in started:
        with pytest.raises(ChildProcessError):
            os.waitpid(process, 0)
    assert 2 == len(started)
