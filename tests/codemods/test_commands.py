# ruff: noqa: E501 - tables of texts, which are easier to compare unbroken
"""Commands that start Celery: in command position, behind wrappers, and nowhere else."""

from __future__ import annotations

import pytest

from capa_codemods.command_lines.celery import celery_command
from capa_codemods.command_lines.command_file import CommandFile
from capa_codemods.discovery import import_map_paths
from capa_codemods.findings import Finding
from capa_codemods.pipeline.rewrite import Rewrite
from capa_codemods.project import Project
from capa_codemods.rules.commands import Commands
from capa_codemods.sdks.import_map_file import read_import_map
from capa_codemods.sdks.names import Names


@pytest.fixture
def judged(tmp_path):
    """Return the findings of one file, a Dockerfile by default, by the import maps of the installed adapters."""
    names = Names(map(read_import_map, import_map_paths()))

    def run(text: str, path: str = "Dockerfile", files: dict[str, str] | None = None) -> tuple[Finding, ...]:
        for name, content in (files or {}).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        rewrite = Rewrite(Project(str(tmp_path), names, [path, *(files or {})]), [Commands()])
        return rewrite.examine_data(path, text.encode()).findings

    return run


def _found(path: str, text: str) -> list[tuple[int, str, str]]:
    assert CommandFile.claims(path)
    found = [(one.line, celery_command(one.words)) for one in CommandFile(path, text.encode()).commands]
    return [(line, asked.subcommand, asked.application) for line, asked in found if asked]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Procfile", "worker: celery -A proj worker -l info"),
        ("Procfile", "worker: celery --app=proj worker"),
        ("Procfile", "worker: bin/start-pgbouncer celery -A proj worker"),
        (
            "compose.yml",
            "services:\n  w:\n    entrypoint: ['/entrypoint.sh']\n    command: celery -A proj worker",
        ),
        ("compose.yml", "    entrypoint: /entrypoint.sh celery -A proj worker"),
        ("Makefile", "\t$(RUN) celery -A proj worker"),
        ("Makefile", "\t@$(DOCKER_COMPOSE) run --rm web celery -A proj worker"),
        ("justfile", "worker:\n    celery -A proj worker"),
        ("crontab", "*/5 0-6 * * * celery -A proj worker"),
        ("circus.ini", "[watcher:w]\ncmd = celery -A proj worker"),
        ("uwsgi.ini", "smart-attach-daemon = /tmp/c.pid celery -A proj worker"),
        ("celery.service.j2", "ExecStart={{ venv }}/bin/celery -A proj worker"),
        ("worker.yaml.j2", "command: celery -A proj worker"),
        (".ebextensions/01.config", "container_commands:\n  01:\n    command: celery -A proj worker"),
        ("start.sh", "opentelemetry-instrument --traces_exporter console celery -A proj worker"),
        ("start.sh", "watchmedo auto-restart -d . -R celery -- -A proj worker"),
        ("start.sh", "s6-setuidgid app celery -A proj worker"),
        ("start.sh", "screen -dmS w celery -A proj worker"),
        ("start.sh", "tmux new-session -d -s w 'celery -A proj worker'"),
        ("start.sh", 'pm2 start "celery -A proj worker" --name w'),
        ("start.sh", 'ssh host "cd x && celery -A proj worker"'),
        ("start.sh", 'set -- celery -A proj worker\nexec "$@"'),
        ("start.sh", "trap 'celery -A proj worker' EXIT"),
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
        ("Dockerfile", 'ENTRYPOINT ["celery"]\nCMD ["-A", "proj", "worker"]'),
        ("Dockerfile", 'CMD ["-A", "proj", "worker"]\nENTRYPOINT ["poetry", "run", "celery"]'),
        ("Containerfile", 'FROM x\nENTRYPOINT ["/init", "celery"]\nCMD ["-A",\\\n  "proj", "worker"]'),
        ("Dockerfile", 'ENTRYPOINT ["/celery.sh"]\nCMD ["celery", "worker", "-A", "proj"]'),
        ("supervisord.conf", "[program:x]\ncommand=celery -A proj\n    worker\n    -l info\nuser=x"),
        ("supervisord.conf", "command =\n\n  celery ; which\n  ; more\n  -A proj worker\n"),
        ("supervisord.conf", "command=celery -A proj worker"),
        ("supervisord.ini", "[program:x]\ncommand = /srv/bin/celery -A proj worker ; comment"),
        ("Makefile", "worker: deps ; celery -A proj worker"),
        ("Makefile", "\t-$(VENV)/bin/celery -A proj worker"),
        ("Makefile", "\t$(PYTHON) -m celery -A proj worker"),
        (
            "start",
            "#!/bin/bash\nexec watchfiles --filter python celery.__main__.main --args '-A proj worker'\ncelery -A proj worker",
        ),
        ("start.sh", "watchmedo auto-restart --directory=. --pattern=*.py -- celery -A proj worker"),
        ("start.sh", "exec watchfiles 'celery -A proj worker' src"),
        ("start.sh", "./wait-for-it.sh redis:6379 -t 30 -- celery -A proj worker"),
        ("start.sh", "docker compose run --rm -e A=b web celery -A proj worker"),
        ("start.sh", "docker exec -it web celery -A proj worker"),
        ("start.sh", "kubectl exec -it pod -- celery -A proj worker"),
        ("start.sh", "su - app -c 'celery -A proj worker'"),
        ("start.sh", "bash -lc 'source /venv/bin/activate && celery -A proj worker'"),
        ("start.sh", "pipenv run celery -A proj worker &"),
        ("start.sh", "uv run --with x celery -A proj worker"),
        ("start.sh", "conda run -n env celery -A proj worker"),
        ("start.sh", "coverage run -m celery -A proj worker"),
        ("start.sh", "python -X dev -u -m celery -A proj worker"),
        ("start.sh", "dotenv -f .env run -- celery -A proj worker"),
        ("start.sh", "if ! celery -A proj worker; then exit 1; fi"),
        ("start.sh", "flock -n /tmp/x celery -A proj worker"),
        ("worker.service", "ExecStart=/bin/sh -c '${CELERY_BIN} -A proj worker'"),
        ("Dockerfile", "RUN --mount=type=cache,target=/x celery -A proj worker"),
        ("Dockerfile.prod", "HEALTHCHECK --interval=5s CMD celery -A proj worker"),
        ("pyproject.toml", '[tool.pdm.scripts]\nw = "celery -A proj worker"'),
        ("pyproject.toml", '[tool.pdm.scripts]\nw = {shell = "cd x && celery -A proj worker"}'),
        ("pyproject.toml", '[tool.hatch.envs.default.scripts]\nw = ["celery -A proj worker"]'),
        ("pyproject.toml", '[tool.poe.tasks.w]\ncmd = "celery -A proj worker"'),
        ("fly.toml", "[processes]\nworker = 'celery -A proj worker'"),
        ("compose.yaml", "entrypoint: celery -A proj\ncommand: worker"),
        ("compose.yaml", "command: >-\n  celery -A proj\n  worker\n  -l info\n"),
        ("compose.yaml", 'command: >\n  sh -c "wait-for db:5432 &&\n  celery -A proj worker"\n'),
        ("compose.yaml", "command: celery -A proj\n  worker -l info\n"),
        ("compose.yaml", 'test: ["CMD-SHELL", "celery -A proj worker"]'),
        ("k8s.yaml", 'command: ["celery"]\nargs: ["-A", "proj", "worker"]'),
        (
            "k8s.yaml",
            "- name: celery worker\n  args:\n  - -A\n  - proj\n  - worker\n  command:\n  - celery\n",
        ),
        ("k8s.yaml", 'command: ["/bin/sh", "-c"]\nargs: ["exec celery -A proj worker"]'),
        ("k8s.yaml", "command:\n- /bin/sh\n- -c\n- |\n  set -e\n  exec celery -A proj worker\n"),
        ("k8s.yaml", "command: [\n  celery, -A, proj,\n  worker, # a comment\n]\n"),
        ("templates/worker.yaml", "command:\n{{- if .x }}\n- celery\n- -A\n- proj\n- worker\n{{- end }}\n"),
        (
            "templates/worker.yaml",
            'command: ["celery", "-A", "proj", "worker", "-c", {{ .Values.n | quote }}]',
        ),
        ("values.yaml", "worker:\n  args: [celery, -A, proj, worker]\n"),
        (".github/workflows/ci.yml", "steps:\n- run: celery -A proj worker &\n"),
        (
            ".github/workflows/ci.yml",
            "steps:\n- name: x\n  run: |\n    cd app\n    celery -A proj \\\n      worker\n",
        ),
        (".gitlab-ci.yml", "job:\n  script:\n    - pip install x\n    - 'celery -A proj worker'\n"),
        (
            "run.bat",
            "@echo off\r\nREM Celery worker\r\ncall venv\\\\Scripts\\\\celery.exe -A proj worker\r\n",
        ),
        (
            "healthcheck.sh",
            'if [[ $1 == *celery* ]]\nthen\n  celery -A proj worker -d "celery@$(hostname)" | grep -q OK\nfi',
        ),
        (
            "k8s.yaml",
            "livenessProbe:\n  exec:\n    command:\n    - celery\n    - -A\n    - proj\n    - worker\n",
        ),
        ("render.yaml", 'startCommand: "celery -A proj worker"'),
        ("compose.yaml", "    command: &cmd celery -A proj worker"),
        ("compose.yaml", "    command: !override celery -A proj worker"),
        (
            "compose.yaml",
            "    command: !override &cmd\n      - celery\n      - -A\n      - proj\n      - worker\n",
        ),
        ("compose.yaml", "    command: &cmd >-\n      celery -A proj\n      worker\n"),
        ("compose.yaml", '  w: {image: celery, command: "celery -A proj worker"}'),
        ("compose.yaml", "  w: {entrypoint: [celery, -A, proj], command: [worker]}"),
        (".github/workflows/ci.yml", '    - uses: x\n      with: {run: "celery -A proj worker"}\n'),
        (".github/workflows/ci.yml", "    - {name: celery worker, run: celery -A proj worker}\n"),
        ("start.sh", "`celery -A proj worker`"),
        ("start.sh", "x=`celery -A proj worker`"),
        ("start.sh", 'if [ -z "$(celery -A proj worker)" ]; then exit 1; fi'),
        ("start.sh", '[ -z "$(celery -A proj worker -n $(hostname))" ] && exit 1'),
        ("start.sh", '[ "$1" = worker ] && celery -A proj worker'),
        ("start.sh", "bash -c 'x=$(celery -A proj worker)'"),
        ("start.sh", 'bash -c "x=$(celery -A proj worker)"'),
        ("start.sh", "cat names | xargs celery -A proj worker -n"),
        ("start.sh", "start-stop-daemon --start -b --exec /usr/bin/celery -- -A proj worker"),
        ("start.sh", "heroku run celery -A proj worker"),
        ("start.sh", 'CELERY="celery -A proj"\n$CELERY worker'),
        ("start.sh", "CELERY=/srv/venv/bin/celery\nexec ${CELERY} -A proj worker"),
        ("start.sh", "CELERY=/a/celery\nif x; then CELERY=/b/celery; fi\nnohup $CELERY -A proj worker &"),
        ("start.sh", 'echo "Active: $(celery -A proj worker | grep -c "task")"'),
        ("Makefile", "include common.mk\nx:\n\tcd back && ../$(CELERY) -A proj worker"),
        ("Makefile", "CELERY = cd $(DIR) && celery\nx:\n\t$(CELERY) -l debug -A proj worker"),
        ("start.sh", "DEBUG=1 celery -A proj worker"),
        ("Makefile", "x: ; @$(PYTHON) -m celery -A proj worker"),
        ("Makefile", "CELERY = celery -A proj\nx:\n\t@$(CELERY) worker"),
        ("Makefile", "CELERY ?= $(VENV)/bin/celery\nx:\n\t-${CELERY} -A proj worker"),
        ("bin/worker", "#!/usr/bin/env bash\ncelery -A proj worker"),
        ("Dockerfile", "CMD celery \\\n    # the application\n    -A proj worker"),
    ],
)
def test_command_is_found_behind_its_wrappers(path, text):
    assert [("worker", "proj")] == [(subcommand, app) for _, subcommand, app in _found(path, text)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Procfile", "worker: airflow celery worker"),
        ("Procfile", "worker: python manage.py celery flower"),
        ("Procfile", "worker: ./manage.py celery worker"),
        ("Makefile", "\t$(MANAGE) celery worker"),
        ("start.sh", "/usr/bin/airflow celery worker"),
        ("start.sh", "/bin/cp celery worker"),
        ("Makefile", "\t$(DOCKER) build -t celery worker"),
        ("start.sh", "ssh celery worker"),
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
        ("k8s.yaml", "metadata:\n  name: celery worker\n  labels:\n    app: celery\n"),
        ("k8s.yaml", "env:\n- name: CELERY\n  value: celery\n"),
        (".github/workflows/ci.yml", "steps:\n- name: celery worker\n  uses: x\n"),
        (
            "pyproject.toml",
            '[project]\ndescription = "celery worker for you"\nkeywords = ["celery worker"]\n',
        ),
        ("pyproject.toml", '[project.scripts]\nworker = "celery.__main__:main"\n'),
        ("Makefile", "celery: worker\n\ttrue\n"),
        ("start.sh", "poetry add celery worker\n"),
        ("start.sh", "pkill -f 'celery worker'\n"),
        ("start.sh", "ps aux | grep celery worker\n"),
        ("start.sh", "docker build -t celery worker\n"),
        ("start.sh", "CELERY='celery -A proj worker'\n"),
        ("start.sh", ": celery -A proj worker\n"),
        ("start.sh", "CELERY='celery -A proj worker'\nCELERY='celery -A proj beat'\n$CELERY\n"),
        ("start.sh", "echo '$(celery -A proj worker)'\n"),
        ("start.sh", "start-stop-daemon --stop --name celery -- worker\n"),
        ("start.sh", "celery \\\n  # a comment ends the command\n  -A proj worker\n"),
        ("Makefile", "CELERY = celery -A proj worker\nx:\n\techo $(CELERY)"),
        ("k8s.yaml", 'env:\n- name: X\n  value: "celery -A proj worker"\n'),
        ("bin/worker", "#!/usr/bin/env python\ncelery = A ; celery -A proj worker\n"),
        ("form.yml", "- markdown: see what `celery -A proj worker` says\n"),
        ("ci.yml", "  x: {name: celery -A proj worker}\n"),
        ("start.sh", "npm install flower\nflower\n"),
        ("tox.ini", "[testenv]\ndeps = celery\ncommands = pytest\n"),
    ],
)
def test_other_commands_and_prose_are_not_mistaken(path, text):
    assert [] == _found(path, text)


def test_line_and_subcommand_are_reported():
    text = "web: gunicorn x\nworker: celery -A proj.app worker\nbeat: celery -A proj.app beat\nmonitor: celery flower\n"

    assert [(2, "worker", "proj.app"), (3, "beat", "proj.app"), (4, "flower", "")] == _found("Procfile", text)


def test_arguments_of_a_stage_come_behind_the_entrypoint_that_counts():
    text = """\
FROM python AS base
ENTRYPOINT ["bash"]
ENTRYPOINT ["celery", "-A", "proj"]
FROM base AS worker
CMD ["worker"]
FROM base AS beat
CMD ["report"]
CMD ["beat"]
FROM worker AS web
ENTRYPOINT ["gunicorn"]
FROM base AS shell
CMD beat
"""

    assert [(5, "worker", "proj"), (8, "beat", "proj")] == _found("Dockerfile", text)


def test_indented_lines_of_other_settings_are_commands_of_their_own():
    text = "[testenv]\ncommands =\n  celery -A proj worker\n  celery -A proj beat\n"

    assert [(3, "worker", "proj"), (4, "beat", "proj")] == _found("tox.ini", text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("celery -A p worker 2>&1 | tee log", "celery -A p worker"),
        ('celery -A p worker -c 2 >> /var/log/x 2> "$ERR" &', "celery -A p worker -c 2"),
        ("celery -A p worker &> /dev/null < /dev/null", "celery -A p worker"),
        (
            "celery -A p inspect ping -d celery@$(hostname -s)",
            "celery -A p inspect ping -d celery@$(hostname -s)",
        ),
        ("celery -A p worker -n 'a>b'", "celery -A p worker -n a>b"),
    ],
)
def test_words_are_reported_as_written_without_redirections(text, words):
    commands = CommandFile("start.sh", text.encode()).commands

    assert [words] == [" ".join(one.words) for one in commands if celery_command(one.words)]


@pytest.mark.parametrize(
    "path", ["app.py", "README.md", "notes.txt", "Dockerfiles/readme", "restart", "package.json"]
)
def test_files_of_other_kinds_are_not_read(path):
    assert not CommandFile.claims(path)


@pytest.mark.parametrize(
    "path",
    ["compose/worker/start", "bin/worker", "Dockerfile.prod", "ops/web.Dockerfile", "Makefile", "Procfile"],
)
def test_names_that_are_claimed_have_one_of_the_endings(path):
    assert CommandFile.claims(path)
    assert path.endswith(CommandFile.suffixes)


@pytest.mark.parametrize(
    ("command", "reported", "level"),
    [
        ("celery -A p graph bootsteps", "it is refused", "warning"),
        ("exec flower -A p --port=5555", "its broker page has no queues", "note"),
        ("celery -A p worker -P gevent", "this pool is refused", "warning"),
        ("celery -A p worker --pool=eventlet", "this pool is refused", "warning"),
        ("${CELERY_BIN} -A p multi start w1 --pool=gevent", "this pool is refused", "warning"),
        ("celery multi restart 2 -A p -P:1 eventlet", "this pool is refused", "warning"),
        ("celery worker -l info", "no application is named", "note"),
        ("celery multi start w1", "no application is named", "note"),
        ("celery -A p worker --disable-prefetch", "without effect", "note"),
        ("pip install -U requests flask", "installs an SDK and not capa-core[requests]", "warning"),
        ("python -m pip install 'requests>=2'", "installs an SDK and not capa-core[requests]", "warning"),
        ("uv pip install --system celery[redis] requests", "not capa-core[celery,requests]", "warning"),
        (
            "pip install flask \\\n  # http\n  requests",
            "installs an SDK and not capa-core[requests]",
            "warning",
        ),
        ("poetry add requests", "installs an SDK and not capa-core[requests]", "warning"),
    ],
)
def test_command_that_would_not_work_is_named(judged, command, reported, level):
    (finding,) = judged(f"RUN {command}\n")

    assert reported in finding.message
    assert (1, level) == (finding.line, finding.level)


@pytest.mark.parametrize(
    ("command", "blocks"),
    [
        ("celery -A p worker -P gevent", True),
        ("celery -A p multi start w1 -P eventlet", True),
        ("celery -A p worker --disable-prefetch", False),
        ("celery -A p graph bootsteps", False),
        ("pip install requests", True),
    ],
)
def test_command_blocks_where_the_program_would_not_start(judged, command, blocks):
    (finding,) = judged(f"RUN {command}\n")

    assert blocks == finding.blocks


@pytest.mark.parametrize(
    "command",
    [
        "celery -A p worker -l info -P prefork -c 4",
        "celery -A p beat",
        "celery -A p purge -f",
        "celery -A p multi start w1 --pool:1=solo -P:2 threads",
        "celery multi stopwait w1 --pidfile=/run/%n.pid",
        "airflow celery worker -P gevent",
        "pip install -r requests.txt",
        "pip install requests 'capa-core[requests]'",
        "pip install -c requests -e ./requests requests-oauthlib",
        "pip download requests",
        "apt-get install requests",
        "echo pip install requests",
    ],
)
def test_command_that_works_is_not_named(judged, command):
    assert () == judged(f"RUN {command}\n")


TREE = {
    "requirements/dev.txt": "-r default.txt\npytest\n",
    "requirements/default.txt": "requests\n",
    "requirements/docs.txt": "sphinx\n",
    "requirements/limited.txt": "-c default.txt\nsphinx\n",
    "pyproject.toml": "[project]\ndependencies = ['celery']\n",
    "sub/setup.py": "setup(install_requires=['requests'])\n",
}


@pytest.mark.parametrize(
    "command",
    [
        "pip install requests==2.32.3 -r requirements/dev.txt",
        "pip install requests --requirement=requirements/default.txt",
        "pip install requests -rrequirements/default.txt",
        "pip install -r /srv/app/default.txt requests",
        "pip install celery .",
        "pip install celery -e .[dev] -r requirements/docs.txt",
        "uv pip install requests celery ./sub .",
    ],
)
@pytest.mark.parametrize("path", ["Dockerfile", ".github/workflows/ci.yml", "docker/web.Dockerfile"])
def test_installation_with_a_file_or_a_folder_that_brings_capa_is_not_named(judged, path, command):
    lead = "RUN " if path.endswith("file") else "- run: "

    assert () == judged(f"{lead}{command}\n", path, TREE)


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("pip install requests -r requirements/docs.txt", "capa-core[requests]"),
        ("pip install requests .", "capa-core[requests]"),
        ("pip install requests celery -r requirements/dev.txt", "capa-core[celery,requests]"),
        ("pip install requests -r elsewhere.txt", "capa-core[requests]"),
        ("pip install requests -c requirements/dev.txt", "capa-core[requests]"),
        ("pip install requests -r requirements/limited.txt", "capa-core[requests]"),
    ],
)
def test_installation_whose_files_do_not_bring_capa_is_named(judged, command, missing):
    (finding,) = judged(f"RUN {command}\n", files=TREE)

    assert f"`{command}` installs an SDK and not {missing}" == finding.message


@pytest.mark.parametrize(
    ("command", "step"),
    [
        ("pip install requests", "add 'capa-core[requests]' to it"),
        ("poetry add requests", "add 'capa-core[requests]' to it"),
        ("conda install -c conda-forge requests", "install 'capa-core[requests]' with pip after it"),
        ("mamba install -y requests", "install 'capa-core[requests]' with pip after it"),
    ],
)
def test_next_step_is_one_that_the_installer_can_do(judged, command, step):
    (finding,) = judged(f"RUN {command}\n")

    assert step == finding.next_step


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pytest.ini", "[pytest]\naddopts = -p no:x --strict-markers -p celery.contrib.pytest\n"),
        ("setup.cfg", "[tool:pytest]\naddopts =\n  -ra\n  -pcelery.contrib.pytest\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = ["-p", "celery.contrib.pytest"]\n'),
        ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-p celery.contrib.pytest"\n'),
        ("tox.ini", "[testenv]\ncommands = python -m pytest -p celery.contrib.pytest {posargs}\n"),
    ],
)
def test_plugin_of_pytest_is_named(judged, path, text):
    assert [("`-p celery.contrib.pytest` loads the plug-in of the original into pytest", True)] == [
        (one.message, one.blocks) for one in judged(text, path)
    ]


@pytest.mark.parametrize(
    "text",
    ["mkdir -p celery.contrib.pytest", "pytest -p no:celery.contrib.pytest", "pytest celery.contrib.pytest"],
)
def test_other_options_are_no_plugins(judged, text):
    assert () == judged(f"{text}\n", "test.sh")
