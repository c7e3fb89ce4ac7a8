"""Split a text for a shell into words, as far as is needed to find the commands that run."""

from __future__ import annotations

import re
import shlex

_QUOTED = r"\\.|'[^']*'"
# A backtick behind a blank is more often found in prose than in a command.
_SUBSTITUTION = re.compile(rf"{_QUOTED}|\$\((?P<new>[^()]*)\)|(?<![^=\"(])`(?P<old>[^`]*)`", re.DOTALL)
_REDIRECTION = re.compile(
    rf"(?P<kept>{_QUOTED}|\"(?:\\.|[^\"\\])*\")"
    r"|(?:(?<![^\s;&|(])\d+|&)?(?:<<<|<<-?|<>|>>|>\||[<>])&?\s*(?:\"[^\"]*\"|'[^']*'|[^\s;&|()<>\"'])+",
    re.DOTALL,
)
_FIRST_PRIVATE = 0xE000
_HIDE = {number: _FIRST_PRIVATE + number for number in range(128)}
_SHOW = {hidden: number for number, hidden in _HIDE.items()}


def without_substitutions(text: str) -> tuple[str, list[str]]:
    """Return *text* with each `$(…)` as letters of a word, which `shown` reverts, and the texts in them."""
    inner: list[str] = []

    def hidden(found: re.Match[str]) -> str:
        command = found["new"] if found["new"] is not None else found["old"]
        if command is None:
            return found[0]
        inner.append(command)
        return found[0].translate(_HIDE)

    before = ""
    while text != before:  # from the innermost to the outermost
        before, text = text, _SUBSTITUTION.sub(hidden, text)
    return text, inner


def shown(word: str) -> str:
    """Return *word* as it was written."""
    return word.translate(_SHOW)


def words(text: str) -> list[str]:
    """Return the words of *text* without its redirections, with `;` for every separator of commands.

    The list is empty for a text with an open quote: prose, or a piece of a longer text.
    """
    text = _REDIRECTION.sub(lambda found: found["kept"] or " ", text)
    lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    try:
        return [";" if not word.strip(";&|()") else word for word in lexer]
    except ValueError:
        return []
