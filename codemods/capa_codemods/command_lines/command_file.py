"""A file that may hold commands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from capa_codemods.command_lines.found import SimpleCommand
from capa_codemods.read.document import Document
from capa_codemods.sdks.names import Names

# Usual suffixes, as in `Dockerfile.prod`.
_STAGES = tuple(
    f".{stage}"
    for stage in ("prod", "production", "dev", "development", "local", "staging", "test", "ci", "base", "web", "worker",
                  "celery", "beat", "api", "app", "python")
)  # fmt: skip
_ENDINGS = (
    *(".dockerfile", ".Dockerfile", ".mk", ".sh", ".bash", ".bat", ".cmd", ".ps1", ".service"),
    *(".yml", ".yaml", ".tpl", ".conf", ".ini", ".cfg", ".toml", ".j2", ".tmpl", ".config"),
)
_STAGED = ("Dockerfile", "Procfile")
# Scripts without an ending, as in `bin`; those for another program than a shell are known by their first line.
_SCRIPTS = ("start", "run", "entrypoint", "docker-entrypoint", "worker", "beat", "flower", "celery", "celeryd",
            "celerybeat", "celery-worker", "celery-beat", "start-worker", "run-worker", "release",
            "post_compile")  # fmt: skip
_WHOLE = (*_STAGED, "Containerfile", "Makefile", "makefile", "GNUmakefile", "justfile", "Justfile", ".justfile",
          "Earthfile", "crontab", *_SCRIPTS)  # fmt: skip
_SHELL = re.compile(rb"#![^\n]*sh\b")


class CommandFile(Document):
    """A Dockerfile, compose file, Procfile, unit, manifest of Kubernetes, workflow, Makefile or shell script."""

    suffixes = (*_WHOLE, *_ENDINGS, *_STAGES)

    @classmethod
    def claims(cls, path: str) -> bool:
        """Return whether the file at *path*, by its name, may hold commands."""
        name = path.rpartition("/")[2]
        is_lock = name.startswith("pylock.")  # full of addresses, and of no commands
        return not is_lock and (name in _WHOLE or name.endswith(_ENDINGS) or name.startswith(_STAGED))

    @classmethod
    def may_concern(cls, data: bytes, names: Names) -> bool:
        """Return whether *data* may name a distribution of an SDK, or the program of one."""
        words = (b"CELERY_BIN", b"flower", b"celery.contrib")
        return any(word in data for word in words) or names.may_require(data.decode(errors="replace"))

    @cached_property
    def commands(self) -> Sequence[SimpleCommand]:
        """The simple commands of the file, each without its wrappers, in the order of lines."""
        is_script = self.path.rpartition("/")[2] in _SCRIPTS
        if is_script and self.data.startswith(b"#!") and not _SHELL.match(self.data):
            return ()
        # Most runs find no such file, and the patterns take a while to be compiled.
        from capa_codemods.command_lines.simple import simple_commands
        from capa_codemods.command_lines.statements import statements

        found = simple_commands(statements(self.path, self.data.decode(errors="replace")))
        return tuple(sorted(found, key=lambda one: one.line))
