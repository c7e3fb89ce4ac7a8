"""Placeholders as Spring resolves them, and the simple forms of its expressions."""

import pytest

from capa_apollo._expressions import resolve
from capa_core.errors import InvalidArgumentError

VALUES = {
    "a": "1",
    "b": "2",
    "name": "a",
    "x.1": "inner",
    "ref": "${a}${b}",
    "url:port": "colon",
    "empty": "",
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("plain", "plain"),
        ("${a}", "1"),
        ("${missing:d}", "d"),
        ("${missing:}", ""),
        ("${empty:d}", ""),
        ("${missing:http://h:80}", "http://h:80"),
        ("${a:${missing}}", "1"),
        ("${missing:${b}}", "2"),
        ("${missing:${other:${a}}}", "1"),
        ("${a}.${b}", "1.2"),
        ("<${a}>${missing:}<${b}>", "<1><2>"),
        ("${${name}}", "1"),
        ("${x.${a}}", "inner"),
        ("${${name}:x}", "1"),
        ("${${missing:nowhere}:x}", "x"),
        ("${ref}", "12"),
        ("${url:port}", "colon"),
        ("${missing:{json: 1}}", "{json: 1}"),
        ("$ {a} $a {a}", "$ {a} $a {a}"),
    ],
)
def test_placeholders_are_replaced(expression, expected):
    assert expected == resolve(expression, VALUES.get)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("${missing}", "no value for"),
        ("${x.${missing}}", "no value for"),
        ("${a", "no closing brace"),
        ("${loop}", "refers to itself"),
        ("${ping}", "refers to itself"),
    ],
)
def test_an_unresolvable_placeholder_is_an_error(expression, message):
    values = VALUES | {"loop": "${loop}", "ping": "${pong}", "pong": "${ping}"}
    with pytest.raises(InvalidArgumentError, match=message):
        resolve(expression, values.get)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("#{'x,y'.split(',')}", ["x", "y"]),
        ("#{'${list:p;q}'.split(';')}", ["p", "q"]),
        ("#{${a} + ${b} * 3}", 7),
        ("#{(1 + 2) * -3}", -9),
        ("#{7 / 2}", 3),
        ("#{-7 / 2}", -3),
        ("#{7.0 / 2}", 3.5),
        ("#{7 % 4}", 3),
        ("#{{1, 2, 'c'}}", [1, 2, "c"]),
        ("#{{k: 'v', 'other key': 2}}", {"k": "v", "other key": 2}),
        ("#{${map:{x: 1, y: {2}}}}", {"x": 1, "y": [2]}),
        ("#{{:}}", {}),
        ("#{{}}", []),
        ("#{'it''s'}", "it's"),
        ("#{' Ab '.trim().toUpperCase()}", "AB"),
        ("#{'ab'.length() + 1}", 3),
        ("#{''.isEmpty()}", True),
        ("#{null}", None),
        ("#{'a' + 'b'}", "ab"),
    ],
)
def test_simple_expressions_are_evaluated(expression, expected):
    assert expected == resolve(expression, VALUES.get)


@pytest.mark.parametrize(
    "expression",
    [
        "#{systemProperties['x']}",
        "#{T(java.lang.Math).random()}",
        "#{1 +}",
        "#{'a'.exec()}",
        "#{1 / 0}",
        "#{'a' * }",
        "#{" + "(" * 100 + "1" + ")" * 100 + "}",
        "#{1 2}",
        "#{@bean}",
    ],
)
def test_other_expressions_are_refused_with_a_command_that_explains(expression):
    with pytest.raises(InvalidArgumentError, match="`capa explain apollo/expressions`"):
        resolve(expression, VALUES.get)
