"""Checks of arguments: accepted values, and the messages of refusals."""

import math
from datetime import timedelta

import pytest

from capa_core.call import body, checks
from capa_core.errors import InvalidArgumentError


@pytest.mark.parametrize("text", ["k", "k" * 8, "ключ", "🔑"])
def test_text_of_any_script_is_accepted(text):
    checks.check_text("a key", text, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a key is empty: give text of 1 to 8 characters"),
        ("k" * 9, "a key is 9 characters long: give text of 1 to 8 characters"),
        (b"k", "a key is of type bytes: give text of 1 to 8 characters"),
        ("\ud83d", "a key '\\ud83d' is not valid Unicode: surrogates not allowed"),
    ],
)
def test_other_text_is_refused_with_the_accepted_range(text, message):
    with pytest.raises(InvalidArgumentError) as refused:
        checks.check_text("a key", text, 8)

    assert message == str(refused.value)


@pytest.mark.parametrize("text", ["", "a\nb", "\ud83d", "k" * 9, 7])
def test_a_name_is_printable(text):
    with pytest.raises(InvalidArgumentError, match="topic is .*: give 1 to 8 printable characters"):
        checks.check_printable("topic", text, 8)


@pytest.mark.parametrize(("value", "expected"), [(timedelta(minutes=1), 60.0), (2, 2.0), (0.5, 0.5)])
def test_a_span_of_time_is_seconds(value, expected):
    assert expected == checks.seconds("lease", value, most=60)


@pytest.mark.parametrize("value", [-1, 61, float("nan"), float("inf"), "5", None])
def test_another_span_is_refused(value):
    with pytest.raises(InvalidArgumentError, match="lease is .*: give a timedelta or seconds, from 0 to 60"):
        checks.seconds("lease", value, most=60)


@pytest.mark.parametrize("value", [0, 11, 1.0, "1", None])
def test_a_count_is_a_whole_number_in_its_range(value):
    with pytest.raises(InvalidArgumentError, match="max_messages is .*: give a whole number from 1 to 10"):
        checks.check_count("max_messages", value, most=10)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x00", (b"\x00", "application/octet-stream")),
        (bytearray(b"\x00"), (b"\x00", "application/octet-stream")),
        ("é", ("é".encode(), "text/plain; charset=utf-8")),
        ({"a": "é"}, ('{"a":"é"}'.encode(), "application/json")),
        (None, (b"null", "application/json")),
    ],
)
def test_a_body_has_the_type_of_its_form(data, expected):
    assert expected == body.encoded(data)


@pytest.mark.parametrize("data", [float("nan"), object(), {1, 2}])
def test_a_body_that_json_cannot_hold_is_refused(data):
    with pytest.raises(InvalidArgumentError, match="the data, of type .*, has no JSON form"):
        body.encoded(data)


@pytest.mark.parametrize("value", [1e300, float("inf"), 10**19])
def test_a_span_that_no_engine_keeps_is_refused(value):
    with pytest.raises(
        InvalidArgumentError, match=r"ttl is .*: give a timedelta or seconds, from 0 to 1e\+18"
    ):
        checks.seconds("ttl", value)


def test_a_bound_that_is_not_there_is_not_shown():
    assert math.inf == checks.seconds("timeout", math.inf, most=math.inf)
    with pytest.raises(InvalidArgumentError, match="timeout is -1: give a timedelta or seconds, 0 or more"):
        checks.seconds("timeout", -1, most=math.inf)


def test_json_that_is_nested_too_deeply_is_a_value_error():
    with pytest.raises(ValueError, match="nested too deeply"):
        body.loads("[" * 100_000)


def test_a_truth_value_is_no_number():
    for check in (checks.check_count, checks.seconds):
        with pytest.raises(InvalidArgumentError, match="limit is True: give"):
            check("limit", True)


def test_text_without_a_form_in_utf_8_is_refused_without_showing_it():
    with pytest.raises(
        InvalidArgumentError, match="^the data is not valid Unicode: surrogates not allowed"
    ) as refused:
        body.encoded("canary\ud83d")

    assert refused.value.__context__ is None
