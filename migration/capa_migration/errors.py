"""What can go wrong in a migration, as one tree.

MigrationError     the request cannot be carried out as it stands; nothing was done
├── TargetError    the path given is not there, or is nothing that can be migrated
├── DirtyTreeError the git work tree has changes that are not committed
├── CommitError    what is to change cannot be committed
└── OptionsError   an option, or [tool.capa.migrate] in pyproject.toml, is wrong
"""


class MigrationError(Exception):
    """Root of the tree: `except MigrationError` catches all that the tool raises on purpose."""


class TargetError(MigrationError):
    """The path given is not there, or is nothing that can be migrated."""


class DirtyTreeError(MigrationError):
    """The git work tree has changes that are not committed."""


class CommitError(MigrationError):
    """What is to change cannot be committed: the message says what stands in the way."""


class OptionsError(MigrationError):
    """An option is wrong. The message names it and the nearest right one."""
