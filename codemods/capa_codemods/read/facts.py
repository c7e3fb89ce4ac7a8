"""Facts about a Python file: its import statements and its strings, each with its place."""

from __future__ import annotations

from typing import NamedTuple


class ImportedName(NamedTuple):
    """One name of an import statement; *start* and *end* enclose the dotted name without its `as`."""

    name: str
    asname: str | None
    start: int
    end: int


class ImportStatement(NamedTuple):
    """One import statement.

    Attributes:
        module: Of `from module import …`; None for `import …` and for `from . import …`.
        level: Dots of a relative import.
        module_start: Where the module's name begins; 0 if there is none.
        run: The place of the first of the imports that follow one another in its block, with nothing between them that
            binds the same name.
    """

    start: int
    end: int
    level: int
    is_from: bool
    module: str | None
    module_start: int
    module_end: int
    names: tuple[ImportedName, ...]
    run: int = 0


class StringUse(NamedTuple):
    """One string literal.

    Attributes:
        start: Where its text begins, after the quote; -1 if the literal cannot be edited in place (it is joined
            from parts, or spelt with escapes).
        callee: Dotted name of the function that is called with it; empty if it is not a direct argument.
        position: Its number among the arguments, or its keyword.
        place: `argument`, `subscript`, `key`, `value` or `default`, which is that of a parameter; `built` for the
            literal with which an argument begins that is put together when the program runs, `table` for a key with
            a list of names that may get imported from it.
            `mixed` if it reaches a call that takes the name of a module, *callee*, and something else too; `statement`
            for a docstring, `compared` for a side of a comparison.
        holder: For a subscript, the dotted name before the bracket; for a value or a default, the name or the key
            that it is given to.
        end: Where its text ends; -1 if *start* is.
        shared: Names of the module that hold it on its way to *callee*: other files may import them.
        other_line: Of a `mixed` one, the first line where it may be used for something else.
    """

    value: str
    start: int
    line: int
    callee: str
    position: int | str
    place: str
    holder: str
    end: int = -1
    shared: tuple[str, ...] = ()
    other_line: int = 0
