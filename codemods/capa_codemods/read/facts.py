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


class Reached(NamedTuple):
    """A call that a string reaches, by itself or as the beginning of a longer text.

    Attributes:
        callee: Dotted name of the function that is called; `sys.modules` for a key of that table.
        position: The number or the keyword of the argument.
        text: The text that it gets there, as far as that is known.
        is_whole: Whether that is all of the text.
    """

    callee: str
    position: int | str
    text: str
    is_whole: bool


class Held(NamedTuple):
    """A name of a module that holds a string, or a text that begins with it, so that other files may use it.

    Attributes:
        member: The attribute of *name*, a class, that holds it; empty if *name* does itself.
        path: The way to it in a container there.
        text: As in `Reached`.
    """

    name: str
    member: str
    path: tuple[object, ...]
    text: str
    is_whole: bool


class StringUse(NamedTuple):
    """One string literal.

    Attributes:
        start: Where its text begins, after the quote; -1 if the literal cannot be edited in place (it is joined
            from parts, or spelt with escapes).
        callee: Dotted name of the function that is called with it; empty if it is not a direct argument.
        position: Its number among the arguments, or its keyword.
        place: `argument`, `subscript`, `key`, `value` or `default`, which is that of a parameter; `built` for the
            literal with which a text begins that is put together when the program runs, `table` for a key with
            a list of names that may get imported from it; `statement` for a docstring, `compared` for a side of a
            comparison.
        holder: For a subscript, the dotted name before the bracket; for a value or a default, the name or the key
            that it is given to.
        end: Where its text ends; -1 if *start* is.
        reached: The calls that take the name of a module and that it reaches through names and expressions.
        held: The names of the module that hold it on its way.
        built: The texts that begin with it, as far as they are known, and the dotted names that may be taken from it.
        other_line: Of one that reaches a call, the first line where it may be used for something else; else 0.
    """

    value: str
    start: int
    line: int
    callee: str
    position: int | str
    place: str
    holder: str
    end: int = -1
    reached: tuple[Reached, ...] = ()
    held: tuple[Held, ...] = ()
    built: tuple[str, ...] = ()
    other_line: int = 0

    def at(self, call: Reached) -> StringUse:
        """Return the use of the text that *call* gets."""
        is_key = call.callee == "sys.modules"
        return self._replace(
            value=call.text,
            callee="" if is_key else call.callee,
            position=call.position,
            place="subscript" if is_key else "argument",
            holder=call.callee if is_key else "",
            reached=(),
            held=(),
            built=(),
        )
