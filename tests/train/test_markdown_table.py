"""Markdown tables and figures with their intervals."""

from __future__ import annotations

import pytest

from ser_train.markdown_table import markdown_table
from ser_train.markdown_table import with_interval


def test_a_table_has_its_header_its_marks_and_its_rows() -> None:
    assert markdown_table(("a", "b"), [("x", "1"), ("y", "2")]).splitlines() == [
        "| a | b |",
        "| --- | ---: |",
        "| x | 1 |",
        "| y | 2 |",
    ]


@pytest.mark.parametrize(
    ("value", "ends", "form", "shown"),
    [
        (0.6138, [0.585, 0.641], ".3f", "0.614 (0.585–0.641)"),
        (0.01, [-0.02, 0.04], "+.2f", "+0.01 (-0.02 to +0.04)"),
        (0.03, [0.02, 0.04], "+.2f", "+0.03 (+0.02 to +0.04)"),
        (0.5, None, ".2f", "0.50"),
        (None, None, ".2f", "–"),
    ],
)
def test_a_figure_is_shown_with_its_interval(
    value: float | None, ends: list[float] | None, form: str, shown: str
) -> None:
    assert with_interval(value, ends, form) == shown
