"""Columns are aligned by the width in which a terminal shows their texts."""

from __future__ import annotations

import pytest

from capa_migration.rewrite.formats._columns import columns, width


@pytest.mark.parametrize(
    ("text", "expected"), [("", 0), ("abc", 3), ("é", 1), ("e\u0301", 1), ("任务", 4), ("ｶ", 1), ("🙂", 2)]
)
def test_width_of_a_text(text, expected):
    assert expected == width(text)


def test_wide_letters_keep_the_columns_in_line():
    assert ["name  calls", "任务     12", "task      3"] == list(
        columns(["name", "calls"], [["任务", "12"], ["task", "3"]])
    )
