"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table: first column left, the others right; ends with a line break."""
    marks = ["---", *("---:" for _ in header[1:])]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, marks, *rows))


def with_interval(value: float | None, interval: Sequence[float] | None, form: str = ".3f") -> str:
    """`0.614 (0.585–0.641)`, or, with a sign, `+0.010 (-0.020 to +0.040)`.

    Args:
        value: A figure; None gives a dash.
        interval: Its ends; None gives the figure alone.
        form: Of the numbers, as of `format`.
    """
    if value is None:
        return "–"
    if interval is None:
        return f"{value:{form}}"
    between = " to " if form.startswith("+") else "–"
    return f"{value:{form}} ({between.join(f'{end:{form}}' for end in interval)})"
