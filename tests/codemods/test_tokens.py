"""Tokens of Python of any version: of the code of libraries the same as those of the standard tokenizer."""

from __future__ import annotations

import contextlib
import io
import sys
import time
import tokenize

import pytest
from rewrite_safety import libraries

from capa_codemods.read.tokens import BrokenError, Tokens

TODAY = int(time.time()) // 86_400
FILES = 60


def _strings(data: bytes) -> list[str]:
    tokens = tokenize.tokenize(io.BytesIO(data).readline)
    return [token.string for token in tokens if token.type == tokenize.STRING]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="its tokenizer cuts strings with fields")
@pytest.mark.timeout(180)
def test_strings_of_libraries_are_the_same_tokens():
    files = libraries.installed_files()
    share = max(1, len(files) // FILES)
    compared = 0
    for path in files[TODAY % share :: share][:FILES]:
        data = path.read_bytes()
        with contextlib.suppress(tokenize.TokenError, SyntaxError, UnicodeDecodeError):
            expected = _strings(data)
            found = [token.text.decode() for token in Tokens(data).all() if token.kind == "string"]
            compared += 1

            assert expected == found, path
    assert compared > FILES / 2


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"f'{x}'", [b"x"]),
        (b"rb'{x}' + t'{x}{y}'", [b"x", b"y"]),
        (b"f'{x!r:>{w}}'", [b"x", b"w"]),
        (b"f'{{x}} {y}'", [b"y"]),
        (b"f'{x = }'", [b"x "]),
        (b"f'{x == y}{a != b}{a <= b:=5}'", [b"x == y", b"a != b", b"a <= b"]),
        (b"f'{ {1: 2}[1] }{(lambda: 1)()}'", [b" {1: 2}[1] ", b"(lambda: 1)()"]),
        (b"f'\\N{DASH}{x}'", [b"x"]),
        (b"rf'\\N{x}'", [b"x"]),
        (b"f'''{\nx  # }\n}'''", [b"\nx  # }\n"]),
        (b"f'{x['a']}{f'{y}'}'", [b"x['a']", b"f'{y}'"]),
    ],
)
def test_fields_of_a_string_are_its_expressions(source, expected):
    read = Tokens(source)
    read.all()
    outer = [
        field for start, fields in sorted(read.fields.items()) for field in fields if _is_outer(start, read)
    ]
    found = [each for field in outer for each in (field, *field.inner)]

    assert expected == [source[field.start + 1 : field.stop] for field in found]


def _is_outer(start: int, read: Tokens) -> bool:
    fields = [field for each in read.fields.values() for field in each]
    return not any(field.start < start < field.end for field in fields)


@pytest.mark.parametrize(
    "source", [b"'a", b"'''a'", b"f'{x", b"f'{x'", b"f'{x!r'", b"f'{x:{y}'", b"t'{'", b"(" * 201]
)
def test_string_that_does_not_end_is_broken(source):
    with pytest.raises(BrokenError):
        Tokens(source).all()
