"""Commands that start Celery: the scan lists each with its support in the migrated application."""

from __future__ import annotations

import json


def test_scan_shows_the_commands(capa, project):
    (project / "Procfile").write_text("worker: exec celery -A app worker -l info\n")

    ran = capa("scan", project)
    data = json.loads(capa("scan", project, "--json").out)

    assert (
        "\nProcfile:\n"
        "  1  full  celery -A app worker -l info: starts the migrated application as it is [commands]\n"
        in ran.out
    )
    assert [("Procfile", 1, "worker", "app")] == [
        (one["path"], one["line"], one["subcommand"], one["application"]) for one in data["commands"]
    ]


def test_scan_shows_the_commands_of_notebooks(capa, project):
    cell = {
        "cell_type": "code",
        "metadata": {},
        "outputs": [],
        "source": ["x = 1\n", "!celery -A app status"],
    }
    (project / "book.ipynb").write_text(json.dumps({"cells": [cell], "nbformat": 4}, indent=1))

    data = json.loads(capa("scan", project, "--json").out)

    assert [("book.ipynb", 9, "status")] == [
        (one["path"], one["line"], one["subcommand"]) for one in data["commands"]
    ]
