"""A bar for scoring clips one by one."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import TimeElapsedColumn

ClipProgress = Callable[[int, int], None]
"""Called with clips done and clips in all."""


@contextmanager
def clip_progress(text: str) -> Iterator[ClipProgress]:
    """A bar on stderr, if that is a terminal; yields what to call."""
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True
    ) as bars:
        task = bars.add_task(text)
        yield lambda done, total: bars.update(task, completed=done, total=total)
