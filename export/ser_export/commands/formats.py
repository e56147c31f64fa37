"""`ser-export formats`: the table of formats."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from ser_export.formats import FORMATS
from ser_export.formats import formats_table


def show_formats() -> None:
    """Print the table; as Markdown where stdout is no terminal."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        print(formats_table(), end="")
        return
    table = Table("format", "file", "what it is for", "models", box=None, padding=(0, 2, 0, 0))
    for row in FORMATS.values():
        table.add_row(row.id, row.file_name("MODEL"), row.purpose, ", ".join(row.families))
    console.print(table)
