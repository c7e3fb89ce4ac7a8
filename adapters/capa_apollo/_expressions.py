"""The simple forms of Spring's expression language, which is not evaluated beyond them.

'text'   3   2.5   true   false   null      literals
{1, 2, 'a'}   {name: 'v', other: 2}   {:}   lists and maps
1 + 2 * (3 - 1) / 4 % 5    'a' + 'b'        arithmetic on literals
'a,b'.split(',')   .trim() .toUpperCase() .toLowerCase() .length() .isEmpty()
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, NoReturn

from capa_apollo._sdk import SDK
from capa_core.errors import InvalidArgumentError
from capa_core.live import Lookup, resolve_text
from capa_core.shims import details

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|'(?P<text>(?:[^']|'')*)'|(?P<name>[A-Za-z_]\w*)|(?P<sign>[-+*/%(){},.:]))"
)
_EXPRESSION = re.compile(r"#\{(?P<inner>.*)\}\s*", re.DOTALL)
_CONSTANTS = {"true": True, "false": False, "null": None}
_SUMS: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub}
_METHODS: dict[str, Callable[..., Any]] = {
    "split": lambda text, separator: re.split(separator, text),
    "trim": str.strip,
    "toUpperCase": str.upper,
    "toLowerCase": str.lower,
    "length": len,
    "isEmpty": lambda text: not text,
}
_DEEPEST = 50


def resolve(expression: str, lookup: Lookup) -> object:
    """Return *expression* with each placeholder replaced, as text; `#{…}` around all of it is evaluated.

    Raises:
        InvalidArgumentError: As for `resolve_text`, or the content of `#{…}` is none of the simple forms.
    """
    text = resolve_text(expression, lookup)
    match = _EXPRESSION.fullmatch(text.strip())
    return evaluate(match["inner"]) if match else text


def evaluate(source: str) -> Any:
    """Return the value of the expression *source*.

    Raises:
        InvalidArgumentError: It is none of the forms above.
    """
    return _Reader(source).whole()


class _Reader:
    """Reads one expression from left to right."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = self._split()
        self._next = 0
        self._depth = 0

    def whole(self) -> Any:
        try:
            value = self._sum()
        except (TypeError, ZeroDivisionError, re.error) as error:
            self._refuse(str(error))
        if self._next < len(self._tokens):
            self._refuse(f"unexpected {self._tokens[self._next][1]!r}")
        return value

    def _split(self) -> list[tuple[str, str]]:
        tokens, position, source = [], 0, self._source.rstrip()
        while position < len(source):
            match = _TOKEN.match(source, position)
            if match is None or match.lastgroup is None:
                self._refuse(f"unexpected {source[position:].strip()[:1]!r}")
            tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        return tokens

    def _sum(self) -> Any:
        value = self._product()
        while (sign := self._taken("+", "-")) is not None:
            value = _SUMS[sign](value, self._product())
        return value

    def _product(self) -> Any:
        value = self._called()
        while (sign := self._taken("*", "/", "%")) is not None:
            value = _multiplied(sign, value, self._called())
        return value

    def _called(self) -> Any:
        value = self._single()
        while self._taken(".") is not None:
            kind, name = self._token()
            if kind != "name" or name not in _METHODS or not isinstance(value, str):
                self._refuse(f"no method {name!r} here")
            self._expect("(")
            value = _METHODS[name](value, *self._until(")", self._sum))
        return value

    def _single(self) -> Any:
        kind, word = self._token()
        if kind == "number":
            return float(word) if "." in word else int(word)
        if kind == "text":
            return word.replace("''", "'")
        if kind == "name" and word in _CONSTANTS:
            return _CONSTANTS[word]
        if word in ("-", "(", "{"):
            return self._nested(word)
        return self._refuse(f"unexpected {word!r}")

    def _nested(self, word: str) -> Any:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._refuse("nested too deeply")
        if word == "-":
            value = -self._called()
        elif word == "(":
            value = self._sum()
            self._expect(")")
        else:
            value = self._collection()
        self._depth -= 1
        return value

    def _collection(self) -> Any:
        if self._taken(":") is not None:
            self._expect("}")
            return {}
        if self._peek(1) == ":":
            return dict(self._until("}", self._pair))
        return self._until("}", self._sum)

    def _pair(self) -> tuple[str, Any]:
        key = self._token()[1]
        self._expect(":")
        return key, self._sum()

    def _until(self, end: str, read: Callable[[], Any]) -> list[Any]:
        found: list[Any] = []
        while self._taken(end) is None:
            if found:
                self._expect(",")
            found.append(read())
        return found

    def _token(self) -> tuple[str, str]:
        if self._next >= len(self._tokens):
            self._refuse("it ends too early")
        self._next += 1
        return self._tokens[self._next - 1]

    def _peek(self, ahead: int) -> str | None:
        place = self._next + ahead
        return (
            self._tokens[place][1] if place < len(self._tokens) and self._tokens[place][0] == "sign" else None
        )

    def _taken(self, *signs: str) -> str | None:
        sign = self._peek(0)
        if sign not in signs:
            return None
        self._next += 1
        return sign

    def _expect(self, sign: str) -> None:
        if self._taken(sign) is None:
            self._refuse(f"{sign!r} is missing")

    def _refuse(self, why: str) -> NoReturn:
        raise InvalidArgumentError(
            f"#{{…}}: {why}. Only literals, lists, maps, arithmetic and a few text methods are evaluated. "
            f"{details(SDK, 'expressions')}."
        )


def _multiplied(sign: str, left: Any, right: Any) -> Any:
    if sign == "*":
        return left * right
    if sign == "%":
        return left % right
    # As in Java: whole numbers divide to a whole number, towards zero.
    return int(left / right) if isinstance(left, int) and isinstance(right, int) else left / right
