"""The subjects of messages that no rule reports, each with its title and its paragraph."""

from __future__ import annotations

from inspect import cleandoc

_TEXTS = {
    "history": """
        a damaged line in the record of earlier runs

        `.capa-migrate/history` holds a line for each scan and report, which the report page draws. A line that cannot
        be read is skipped; delete it.
        """,
    "journal": """
        a rewrite that can no longer be undone in full

        `.capa-migrate` holds the old bytes of each rewritten file. `capa migrate undo` restores the readable ones.
        """,
    "manifests": """
        a manifest that would not install Capa

        The rewritten code imports an adapter, and no manifest of the project requires capa-core with the extra of that
        adapter. Add the requirement that the message names.
        """,
    "absent": """
        a path that pyproject.toml leaves out and that does not exist

        `exclude` under `[tool.capa.migrate]` names folders and files, relative to the folder of pyproject.toml. One
        that is not there leaves nothing out: it is misspelt, or has moved, or is made later, as by a build.
        """,
    "partial": """
        a call that an adapter serves with a difference

        The call moves. Decide whether your code depends on the difference that the message names.
        """,
    "uncertain": """
        an import that looks like one of an SDK, and may be something else

        Modules of Apollo clients have frequent names. Such an import is one of the SDK where a manifest that governs
        the file names a distribution that brings it. Name the distribution in a requirements file, or run the command
        with `--sdk MODULE`; `sdk = ["MODULE"]` under `[tool.capa.migrate]` in pyproject.toml keeps the choice.
        """,
    "unreadable": """
        a file that cannot be read or proven

        The file is left as it is, and the run goes on with the others. The reason is one of these: the file does not
        decode, it does not parse, or its new text, with the new names mapped back, does not parse to the old syntax
        tree.
        """,
    "unserved": """
        a call that no adapter serves

        The call stays on the original where the SDK has no adapter; elsewhere it raises an error after the rewrite, or
        has no effect. Keep it on the original, or replace it. `capa migrate check` and `apply` warn of it, `--strict`
        makes that a failure, and `# capa: ignore[unserved]` on its line settles it.
        """,
    "unwritten": """
        a file that could not be written

        The file keeps its old bytes: each file is replaced in one step or not at all. Remove the cause that the message
        names and run the command again.
        """,
}


def subjects() -> dict[str, tuple[str, str]]:
    """Return the title and the text of each subject, by ID."""
    cut = {ident: cleandoc(text).split("\n\n", 1) for ident, text in _TEXTS.items()}
    return {ident: (title, text) for ident, (title, text) in cut.items()}
