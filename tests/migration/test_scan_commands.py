"""Commands that start Celery: in command position, behind wrappers, and nowhere else."""

from __future__ import annotations

import json

import pytest

from capa_migration.scan.commands import commands, may_hold_commands


def _found(path: str, text: str) -> list[tuple[int, str, str]]:
    return [(one.line, one.subcommand, one.application) for one in commands(path, text)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Procfile", "worker: celery -A proj worker -l info"),
        ("Procfile", "worker: celery --app=proj worker"),
        ("Procfile", "worker: celery worker -A proj"),
        ("Procfile", "worker: /srv/venv/bin/celery -Aproj worker"),
        ("Procfile", "worker: python -m celery -A proj worker"),
        ("Procfile", "worker: env A=b C=d celery -A proj worker"),
        ("Procfile", "worker: A=b newrelic-admin run-program celery -A proj worker"),
        ("Procfile", "worker: exec ddtrace-run celery -A proj worker"),
        ("Procfile", "worker: python manage.py migrate && celery -A proj worker"),
        ("Procfile", "worker: poetry run celery -A proj worker"),
        ("Dockerfile", 'CMD ["celery", "-A", "proj", "worker"]'),
        ("Dockerfile", "CMD celery -A proj worker"),
        ("Dockerfile", 'ENTRYPOINT ["tini", "--", "celery", "-A", "proj", "worker"]'),
        ("Dockerfile", 'CMD ["sh", "-c", "exec celery -A proj worker -c $N"]'),
        ("app.Dockerfile", "CMD gosu app celery -A proj worker"),
        ("docker-compose.yml", "    command: celery -A proj worker"),
        ("docker-compose.yml", "    command: ['celery', '-A', 'proj', 'worker']"),
        ("docker-compose.yml", "    command:\n      - celery\n      - -A\n      - proj\n      - worker\n"),
        ("docker-compose.yml", "    command: \"bash -c 'celery -A proj worker'\""),
        ("k8s/worker.yaml", '        args: ["celery", "-A", "proj", "worker"]'),
        ("worker.service", "ExecStart=/usr/bin/celery -A proj worker"),
        ("start.sh", "exec celery \\\n  -A proj \\\n  worker"),
        ("start.sh", "if true; then celery -A proj worker; fi"),
        ("start.sh", "sudo -u app celery -A proj worker"),
        ("start.sh", "timeout 30 celery -A proj worker"),
        ("start.sh", "nice -n 5 celery -A proj worker &"),
        ("Makefile", "\t@celery -A proj worker"),
        ("supervisord.conf", "command=celery -A proj worker"),
    ],
)
def test_command_is_found_behind_its_wrappers(path, text):
    assert may_hold_commands(path)
    assert [(1, "worker", "proj")] == [(1, subcommand, app) for _, subcommand, app in _found(path, text)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Procfile", "worker: airflow celery worker"),
        ("Procfile", "worker: python manage.py celery flower"),
        ("Procfile", "web: gunicorn celery.wsgi"),
        ("Dockerfile", "RUN pip install celery"),
        ("Dockerfile", "# CMD celery -A proj worker"),
        ("Dockerfile", "COPY celery /srv/celery"),
        ("docker-compose.yml", "  celery:\n    image: celery\n"),
        ("docker-compose.yml", "    depends_on:\n      - celery\n      - worker\n"),
        ("docker-compose.yml", "    description: it runs celery -A proj worker for you"),
        ("start.sh", "echo 'celery -A proj worker'"),
        ("start.sh", "# celery -A proj worker"),
        ("start.sh", "which celery"),
        ("setup.cfg.ini", "celery\n"),
        ("pyproject.toml", 'dependencies = ["celery"]\n'),
        ("pyproject.toml", '    "celery[redis]",\n'),
        ("ci.yml", "- run: pip install celery && pytest\n"),
    ],
)
def test_other_commands_and_prose_are_not_mistaken(path, text):
    assert [] == _found(path, text)


@pytest.mark.parametrize("path", ["app.py", "README.md", "notes.txt", "Dockerfile.py"[:-3] + "s/readme"])
def test_files_of_other_kinds_are_not_read(path):
    assert not may_hold_commands(path)


def test_line_and_subcommand_are_told():
    text = "web: gunicorn x\nworker: celery -A proj.app worker\nbeat: celery -A proj.app beat\nmonitor: celery flower\n"

    assert [(2, "worker", "proj.app"), (3, "beat", "proj.app"), (4, "flower", "")] == _found("Procfile", text)


def test_scan_shows_the_commands(capa, project):
    (project / "Procfile").write_text("worker: exec celery -A app worker -l info\n")

    ran = capa("scan", project)
    data = json.loads(capa("scan", project, "--json").out)

    assert "Procfile:1: celery -A app worker -l info: starts the migrated application as it is\n" in ran.out
    assert [("Procfile", 1, "worker", "app")] == [
        (one["path"], one["line"], one["subcommand"], one["application"]) for one in data["commands"]
    ]
