"""Concurrent runs: one writes, the others are refused, and nothing is done twice or lost."""

from __future__ import annotations

import subprocess

RUNS = 3


def _start_all(words):
    return [
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(RUNS)
    ]


def _end_all(started):
    return [(*run.communicate(timeout=60), run.returncode) for run in started]


def test_one_of_several_writes_and_the_others_refuse_or_find_nothing_to_do(
    capa, capa_process, project, snapshot
):
    for number in range(30):
        (project / f"app/m{number}.py").write_text("import requests\n")
    before = snapshot(project)

    ended = _end_all(_start_all(capa_process("migrate", "apply", project)))

    for out, err, code in ended:
        assert code in {0, 3}, out + err
        assert (code == 3) is ("another run of capa is writing in" in err)
    assert sum("33 files changed, 33 proven" in out for out, _, _ in ended) == 1
    assert 0 == capa("migrate", "check", project).code
    assert 0 == capa("migrate", "undo", project).code
    assert before == snapshot(project)


def test_rewrite_is_undone_once_by_concurrent_runs(capa_process, capa, project, snapshot):
    before = snapshot(project)
    capa("migrate", "apply", project)

    ended = _end_all(_start_all(capa_process("migrate", "undo", project)))

    assert {0, 3} >= {code for _, _, code in ended}, ended
    assert before == snapshot(project)
