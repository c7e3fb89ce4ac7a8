"""The errors of a migration, as one tree.

MigrationError     the request cannot be fulfilled; nothing was done
├── TargetError    the path does not exist, or holds nothing that can be migrated
├── DirtyTreeError the git work tree has changes that are not committed
├── CommitError    the planned changes cannot be committed
├── HeldError      workers of a broker still hold messages that are to be moved
└── OptionsError   an option, or [tool.capa.migrate] in pyproject.toml, is wrong

OutputError        the change was made, and the output about it cannot be written
"""


class MigrationError(Exception):
    """Root of the tree: `except MigrationError` catches all that the tool raises on purpose."""


class TargetError(MigrationError):
    """The path does not exist, or holds nothing that can be migrated."""


class DirtyTreeError(MigrationError):
    """The git work tree has changes that are not committed."""


class CommitError(MigrationError):
    """The planned changes cannot be committed. The message names the obstacle."""


class HeldError(MigrationError):
    """Workers of a broker still hold messages that are to be moved, or may hold some. The message names the queues."""


class OptionsError(MigrationError):
    """An option is wrong. The message names it and the nearest valid one."""


class OutputError(Exception):
    """The change was made, and the output about it cannot be written. The message says how to undo the change."""
