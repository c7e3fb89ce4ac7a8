"""Proofs that a rewritten file means the same under its new names, one for each way in which a file can be changed.

    names       imports and strings under new names, everything else the same tree     all rules
    notebook    the same for each code cell, everything else the same JSON             all rules
    shape       nothing but the smallest nodes that an edit touches has changed        rules that run by name only

Other kinds of document are read again and compared: `ComparedDocument`. A kind without a proof is never changed.
"""

from __future__ import annotations

from capa_codemods.errors import UnreadableError
from capa_codemods.file_rewrite import FileRewrite
from capa_codemods.read.document import ComparedDocument
from capa_codemods.read.notebook_file import NotebookFile
from capa_codemods.read.python_file import PythonFile
from capa_codemods.sdks.names import Names

OTHER_BYTES = "bytes outside the edits differ"


def flaw_of(rewrite: FileRewrite, names: Names) -> str | None:
    """Return the flaw of *rewrite* as one that moves *names* alone, or None if it is proven."""
    if rewrite.flaw is not None:
        return rewrite.flaw
    return _flaw_of_kind(rewrite, names) if rewrite.keeps_other_bytes else OTHER_BYTES


def _flaw_of_kind(rewrite: FileRewrite, names: Names) -> str | None:
    file, after = rewrite.file, rewrite.after
    # Most runs change nothing: a proof is loaded when there is something to prove.
    if isinstance(file, PythonFile):
        from capa_codemods.proof.names import flaw_of_names

        return flaw_of_names(file, after, rewrite.edits, names)
    if isinstance(file, NotebookFile):
        from capa_codemods.proof.notebook import flaw_of_notebook

        return flaw_of_notebook(file, after, names)
    if not isinstance(file, ComparedDocument):
        return f"there is no proof for a {type(file).__name__}"
    try:
        return file.flaw(after, names)
    except UnreadableError as error:
        return f"the result can no longer be read: {error}"
