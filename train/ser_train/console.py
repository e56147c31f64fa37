"""Where tables are printed."""

from __future__ import annotations

from rich.console import Console

_WIDE = 200


def wide_console() -> Console:
    """The terminal at its own width; elsewhere one with room for every column, cutting nothing."""
    return Console() if Console().is_terminal else Console(width=_WIDE)
